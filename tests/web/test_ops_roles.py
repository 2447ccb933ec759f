"""Roles and rewards through the operator API. One shop for all: every test has people of its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from bot.runtime import embedded
from domain.people import service as people
from domain.points.rules import Life
from domain.rewards import unlocking
from domain.rewards.programme import load as load_programme
from domain.rewards.rules import Offers
from domain.roles import rulebooks
from domain.roles.rulebook import load
from domain.shared.clock import FixedClock
from domain.workflows import programme
from tests.conftest import MORNING, fresh_database
from tests.integration.people.crowd import PEPPER, mall, openid, order
from tests.integration.risk.world import of_one_level
from tests.web.mall import ASSETS
from tests.web.operators import Office

ROLES = (ASSETS / "roles.toml").read_text("utf-8")
OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
RULES = load_programme((ASSETS / "ladders.toml").read_text("utf-8"), OFFERS.by_kind)


@pytest.fixture(scope="module")
def office(postgres: embedded.Server) -> Iterator[Office]:
    with fresh_database(postgres) as url:
        engine: Engine = create_engine(url)
        clock = FixedClock(MORNING)
        of_one_level(engine, clock)
        office = Office(engine, clock)
        with office.sessions.begin() as session:
            rulebooks.publish(session, load(ROLES), MORNING.replace(year=2020))
        yield office
        engine.dispose()


def person(office: Office, name: str) -> int:
    with office.sessions.begin() as session:
        found = people.resolve(session, [mall(name)], MORNING, pepper=PEPPER)
        people.set_profile(session, found, nickname=name)
        return found


def regular(office: Office, name: str, orders: int = 3, fen: int = 40_000) -> int:
    """Somebody who follows and has just bought so often."""
    with office.sessions.begin() as session:
        found = people.resolve(session, [openid(name)], MORNING, pepper=PEPPER)
        people.follow(session, openid(name), MORNING)
        for number in range(orders):
            order(session, found, f"{name}{number}", -1 - number, paid_fen=fen)
        return found


def acts(office: Office, subject: str) -> list[tuple[str, str, object]]:
    return [(one["operator"], one["act"], one["detail"].get("why"))
            for one in office.get("owner", f"/audit?subject={subject}")["events"]]


def test_a_role_is_given_seen_with_its_reason_and_taken(office: Office) -> None:
    who = person(office, "李姐")
    assert office.get("reviewer", f"/roles/people/{who}") == {
        "person_id": who, "nickname": "李姐", "role": "member", "held": [], "keep": [], "decisions": []}
    wanted = {"role": "partner", "why": "带昆明的群"}
    office.rings.clear()
    done = office.post("finance", f"/roles/people/{who}/grant", wanted)
    assert done == {"person_id": who, "role": "partner", "changed": True, "now": "partner"}
    assert office.rings == [frozenset({"fact"})]
    assert office.post("owner", f"/roles/people/{who}/grant", wanted)["changed"] is False
    seen = office.get("operator", f"/roles/people/{who}")
    assert [(one["role"], one["because"], one["provisional"]) for one in seen["held"]] == [
        ("partner", "operator", False)]
    assert [(one["what"], one["actor"], one["evidence"]) for one in seen["decisions"]] == [
        ("granted", "lin", {"why": "带昆明的群"}), ("granted", "zhou", {"why": "带昆明的群"})]
    taken = {"role": "partner", "why": "不带了"}
    assert office.post("finance", f"/roles/people/{who}/revoke", taken) == {
        "person_id": who, "role": "partner", "changed": True, "now": "member"}
    assert office.post("finance", f"/roles/people/{who}/revoke", taken)["changed"] is False
    assert acts(office, f"person:{who}") == [
        ("zhou", "role.revoke", "不带了"), ("zhou", "role.revoke", "不带了"),
        ("lin", "role.grant", "带昆明的群"), ("zhou", "role.grant", "带昆明的群")]


def test_holders_are_listed_by_their_highest_role_and_page(office: Office) -> None:
    one, other = person(office, "一"), person(office, "二")
    for who, roles in ((one, ("promoter", "gold")), (other, ("promoter",))):
        for role in roles:
            office.post("owner", f"/roles/people/{who}/grant", {"role": role, "why": "列表"})
    listed = {row["person_id"]: row for row in office.get("operator", "/roles")["holders"]}
    assert (listed[one]["role"], listed[one]["nickname"], listed[one]["because"]) == ("gold", "一", "operator")
    assert listed[other]["role"] == "promoter"
    golden = [row["person_id"] for row in office.get("operator", "/roles?role=gold")["holders"]]
    assert one in golden and other not in golden
    with office.sessions.begin() as session:
        crowd = people.resolve_many(session, [[mall(f"c{n}")] for n in range(100)], MORNING, pepper=PEPPER)
        session.execute(text("insert into role_grant (person_id, role, cause_kind, cause_key, granted_at)"
                             " select id, 'promoter', 'operator', 'x', now() from person where id = any (:ids)"),
                        {"ids": crowd})
    seen, after = [], 0
    while after is not None:
        page = office.get("operator", f"/roles?role=promoter&after={after}")
        seen += [row["person_id"] for row in page["holders"]]
        after = page["next_after"]
    assert seen == sorted(set(seen)) and set(crowd) <= set(seen) and one not in seen


def test_refusals_are_those_of_the_terminal(office: Office) -> None:
    who = person(office, "谁")
    for act in ("grant", "revoke"):
        said = office.post("owner", f"/roles/people/999999/{act}", {"role": "gold", "why": "x"}, expect=404)["error"]
        assert (said["code"], said["message"]) == ("person_unknown", "没有编号为 999999 的用户。")
        said = office.post("owner", f"/roles/people/{who}/{act}", {"role": "gold", "why": "  "}, expect=409)["error"]
        assert said["code"] == "role_reason_missing" and "请写明理由" in said["message"]
        office.post("owner", f"/roles/people/{who}/{act}", {"role": "member", "why": "x"}, expect=422)
        office.post("operator", f"/roles/people/{who}/{act}", {"role": "gold", "why": "x"}, expect=403)
    for place in ("/roles/people/999999", "/rewards/people/99999999999999999999"):
        assert office.get("owner", place, expect=404)["error"]["code"] == "person_unknown"
    office.get("owner", "/roles?role=member", expect=422)
    office.get("owner", "/roles/invitations?state=x", expect=422)
    assert acts(office, f"person:{who}") == []


def test_who_buys_often_and_well_is_invited_by_hand_once(office: Office) -> None:
    who = regular(office, "often")
    regular(office, "seldom", orders=2)
    regular(office, "cheap", fen=9_900)
    (named,) = office.get("operator", "/roles/invitations/due")["candidates"]
    assert named["person_id"] == who
    assert (named["evidence"]["orders"], named["evidence"]["average_fen"]) == (3, 40_000)
    assert office.post("operator", "/roles/invitations/send") == {"person_ids": [who]}
    assert office.post("operator", "/roles/invitations/send") == {"person_ids": []}
    assert office.get("operator", "/roles/invitations/due")["candidates"] == []
    (invitation,) = office.get("reviewer", "/roles/invitations?state=open")["invitations"]
    assert (invitation["person_id"], invitation["state"]) == (who, "open")
    assert invitation["evidence"] == named["evidence"]
    assert office.get("reviewer", "/roles/invitations?state=accepted")["invitations"] == []
    assert office.rows("select kind from outbox where person_id = :id and kind like 'invit%'", id=who) == [
        ("invitation.asked",)]
    told = office.get("owner", "/audit?act=role.invite")["events"]
    assert [(one["operator"], one["detail"]["invited"]) for one in told] == [("wu", 0), ("wu", 1)]


def test_rewards_are_shown_and_parked_buyers_counted_again(office: Office) -> None:
    who, other, well = person(office, "倒霉"), person(office, "也倒霉"), person(office, "没事")
    assert office.get("operator", f"/rewards/people/{who}") == {"person_id": who, "rewards": [], "coupons": []}
    now = office.clock.now()
    with office.sessions.begin() as session:
        for number, ago in enumerate((-5, -1)):
            order(session, who, f"R{number}", ago)
        programme.recount(session, [who], RULES, OFFERS, Life(), now)
        unlocking.take_stale(session, now, 10)
        for one in (who, other):
            unlocking.park(session, one, f"Bad: {one}", now)
    found = office.get("operator", f"/rewards/people/{who}")["rewards"]
    assert {(one["what"], one["amount"], one["state"], bool(one["until"])) for one in found} == {
        ("red_packet", 500, "provisional", True), ("points", 5, "provisional", True)}
    parked = office.get("reviewer", "/rewards/parked")["parked"]
    assert [(one["person_id"], one["fault"]) for one in parked] == [(who, f"Bad: {who}"), (other, f"Bad: {other}")]
    with Session(office.engine) as session:
        assert unlocking.take_stale(session, now, 10) == []
    said = office.post("operator", "/rewards/parked/retry", {"person_id": well}, expect=404)["error"]
    assert (said["code"], "没有等待重算" in said["message"]) == ("reward_not_parked", True)
    assert office.post("operator", "/rewards/parked/retry", {"person_id": other}) == {"person_ids": [other]}
    with Session(office.engine) as session:
        assert unlocking.take_stale(session, now, 10) == [other]
    assert office.post("operator", "/rewards/parked/retry", {}) == {"person_ids": [who, other]}
    with office.sessions.begin() as session:
        assert sorted(unlocking.take_stale(session, now, 10)) == [who, other]
    assert office.get("reviewer", "/rewards/parked")["parked"] == []
    assert office.post("operator", "/rewards/parked/retry") == {"person_ids": []}
    told = office.get("owner", "/audit?act=reward.retry")["events"]
    assert [(one["subject"], one["detail"]["people"]) for one in told] == [
        ("rewards", 0), ("rewards", 2), (f"person:{other}", 1)]
