"""What the database itself refuses, whoever asks; and what two who ask at once get."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.audit.rules import Actor
from domain.catalog.models import Product
from domain.points import service as points
from domain.points.rules import Life
from domain.shared.clock import FixedClock
from domain.shared.errors import Conflict, DomainError
from domain.shared.wording import Wording
from domain.shots import queries, service
from domain.shots.rules import REASONS, ShotRules
from tests.conftest import MORNING
from tests.integration.people.crowd import crowd
from tests.together import in_transactions
from tests.web.operators import WORDING

BOSS = Actor("lin", "owner")

RULES = ShotRules(per_day=10_000, kept=10_000)
JPEG = b"\xff\xd8" + b"x" * 500


@pytest.fixture
def author(session: Session) -> int:
    (li,) = crowd(session, 1)
    session.add(Product(sku="RICE", no=1, title="米", category="fmcg", price_fen=6_800, image_url="", told_by="test",
                        told_at=MORNING))
    session.commit()
    return li


def waiting(session: Session, author: int, clock: FixedClock, n: int = 1) -> int:
    number = service.begin(session, author, "demo", "m", RULES, clock.now()).number
    service.about(session, [number], author, "RICE")
    service.allow(session, [number], author, "named", "可以吗", clock.now())
    service.keep(session, number, JPEG, (400, 400), n.to_bytes(32, "big"), clock.now())
    session.commit()
    return number


@pytest.mark.parametrize("change", [
    "state = 'draft'", "state = 'declined', ended_at = now(), why = 'x', consent = '', picture = null, digest = null,"
    " width = 0, height = 0", "picture = null, digest = null, width = 0, height = 0", "sku = ''", "consent = ''",
    "state = 'withdrawn', ended_at = now(), why = 'x', consent = ''", "words = repeat('x', 301)",
    "picture = decode(repeat('00', 1048577), 'hex')", "digest = null", "state = 'retired'"])
def test_an_approved_picture_is_whole_allowed_and_ends_whole(
    session: Session, engine: Engine, author: int, clock: FixedClock, change: str
) -> None:
    number = waiting(session, author, clock)
    service.approve(session, number, "", True, WORDING, BOSS, clock.now())
    session.commit()
    with pytest.raises(DBAPIError), engine.begin() as db:
        db.execute(text(f"update shot set {change} where id = :id"), {"id": number})


def test_what_is_over_stays_over_and_words_of_consent_are_never_changed(
    session: Session, engine: Engine, author: int, clock: FixedClock
) -> None:
    number = waiting(session, author, clock)
    assert service.revoke(session, [number], author, "撤回投稿", clock.now()) == [number]
    session.commit()
    for wrong in ("update shot set state = 'waiting', consent = 'named', ended_at = null, why = ''",
                  "update shot_word set word = 'named'", "update shot_word set wording = 'x'", "delete from shot_word",
                  "truncate shot_word"):
        with pytest.raises(DBAPIError), engine.begin() as db:
            db.execute(text(wrong))
    assert service.revoke(session, [number], author, "撤回投稿", clock.now()) == []
    assert service.keep(session, number, JPEG, (400, 400), bytes(32), clock.now()) == "gone"
    with pytest.raises(Conflict):
        service.approve(session, number, "", True, WORDING, BOSS, clock.now())


def test_only_the_author_can_say_anything_about_it(session: Session, author: int, clock: FixedClock) -> None:
    number = service.begin(session, author, "demo", "m", RULES, clock.now()).number
    _, other = crowd(session, 2)
    service.say(session, [number], other, "不是我说的", RULES)
    service.about(session, [number], other, "RICE")
    assert service.allow(session, [number], other, "named", "可以吗", clock.now()) == []
    service.refuse(session, [number], other, "可以吗", clock.now())
    assert service.revoke(session, [number], other, "撤回", clock.now()) == []
    found = queries.one(session, number)
    assert (found.state, found.words, found.sku, list(queries.words(session, number))) == ("draft", "", "", [])


def test_two_who_approve_at_once(session: Session, engine: Engine, author: int, clock: FixedClock) -> None:
    number = waiting(session, author, clock)

    def approve(one: Session) -> object:
        return service.approve(one, number, "", True, WORDING, BOSS, clock.now()).state

    done = in_transactions(engine, approve, approve)
    assert sorted(map(str, (getattr(one, "code", one) for one in done))) == ["approved", "shot_reviewed"]
    assert session.scalar(text("select count(*) from outbox where kind = 'shot.approved'")) == 1


def test_one_who_approves_while_the_author_takes_it_back(
    session: Session, engine: Engine, author: int, clock: FixedClock
) -> None:
    """Whoever is first: at the end nobody is given it."""
    for n in range(6):
        number = waiting(session, author, clock, n)
        in_transactions(
            engine, lambda one, number=number: service.approve(one, number, "", True, WORDING, BOSS, clock.now()),
            lambda one, number=number: service.revoke(one, [number], author, "撤回", clock.now()))
        session.commit()
        found = queries.one(session, number)
        assert (found.state, found.has_picture, service.objection(session, number)) == (
            "withdrawn", False, service.GONE)
        assert queries.to_share(session, author, "RICE") is None


ACTS = st.lists(st.sampled_from(["approve", "decline", "revoke", "retire", "thank", "thank", "again", "day"]),
                min_size=1, max_size=14)


@given(acts=ACTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_author_is_rewarded_at_most_once_and_only_for_what_was_approved(
    session: Session, author: int, clock: FixedClock, acts: list[str]
) -> None:
    """Whatever is done in whatever order, and however often the job runs."""
    number = waiting(session, author, clock, session.scalar(text("select count(*) from shot")) or 0)
    now, rewarded, approved = clock.now(), 0, False
    for act in acts:
        try:
            with session.begin_nested():
                if act == "approve":
                    service.approve(session, number, "", True, WORDING, BOSS, now)
                    approved = True
                elif act == "decline":
                    service.decline(session, number, REASONS[0], "", BOSS, now)
                elif act == "revoke":
                    service.revoke(session, [number], author, "撤回", now)
                elif act == "retire":
                    service.retire(session, number, "旧", BOSS, now)
                elif act == "day":
                    now += timedelta(days=1)
                elif act == "again" or service.thank(session, number, now):
                    earning = points.Earning(author, 30, f"shot:{number}", now)
                    rewarded += points.earn(session, [earning], Life(), now) if approved else 0
        except DomainError:
            continue
    lots = session.scalar(text("select count(*) from point_lot where cause = :cause"), {"cause": f"shot:{number}"})
    assert lots == rewarded <= int(approved)
    found = queries.one(session, number)
    assert found.has_picture == (found.state in ("waiting", "approved"))
    assert found.thanked_at is None or approved
    session.commit()


def test_which_one_a_sharer_is_given(session: Session, author: int, clock: FixedClock) -> None:
    """Those they do not have yet first; then round again."""
    numbers = {waiting(session, author, clock, n) for n in range(3)}
    for number in numbers:
        service.approve(session, number, "", True, Wording(()), BOSS, clock.now())
    _, sharer = crowd(session, 2)
    for _ in range(2):
        seen = set()
        for _ in range(3):
            found = queries.to_share(session, sharer, "RICE")
            assert found is not None
            service.give(session, found.id, sharer, clock.now())
            seen.add(found.id)
        assert seen == numbers
    assert queries.to_share(session, sharer, "TEA") is None
