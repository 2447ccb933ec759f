"""Plans as documents: what is refused, what is warned of, and that every finding has a sentence."""

import json
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.runtime.voice import Voice
from domain.commissions import plans
from domain.commissions.plan_checks import worst_case
from domain.commissions.rules import Above, SaleLine, strike
from domain.shared.errors import DomainError
from domain.shared.wording import Wording, texts_of

ASSETS = Path(__file__).parents[3] / "assets"
FIRST = plans.load(ASSETS / "plans" / "first-shop.toml")
TWO = plans.load(ASSETS / "plans" / "two-level.toml")
WORDING = Wording.load((ASSETS / "sensitive_words.toml").read_text("utf-8"))
VOICE = Voice(ASSETS / "copy")

STEPS = [{"from_fen": 0, "rate_bps": 500}, {"from_fen": 100, "rate_bps": 800}]
LAUNCH = {"name": "启动期", "starts_on": "2027-01-04", "ends_before": "2027-01-18", "factor_bps": 15_000}

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"levels": 4}, "range", "levels"), ({"levels": 0}, "range", "levels"), ({"cap_bps": 0}, "range", "cap_bps"),
    ({"cap_bps": 900}, "cap_broken", "cap_bps"), ({"surprise": 1}, "unknown_field", "surprise"),
    ({"version": 3}, "unknown_field", "version"), ({"levels": "2"}, "type", "levels"),
    ({"levels": True}, "type", "levels"), ({"rules": 5}, "type", "rules"), ({"rules": [5]}, "type", "rules[0]"),
    ({"rules": [{"level": 1, "rate_bps": 5.5}]}, "type", "rules[0].rate_bps"),
    ({"rules": [{"level": 1}]}, "missing_field", "rules[0].rate_bps"),
    ({"rules": [{"level": 1, "rate_bps": 5, "roles": "gold"}]}, "unknown_field", "rules[0].roles"),
    ({"rules": [{"level": 3, "rate_bps": 5}]}, "range", "rules[0].level"),
    ({"rules": [{"level": 1, "rate_bps": 5, "role": "boss"}]}, "role_unknown", "rules[0].role"),
    ({"rules": [{"level": 1, "rate_bps": 5, "sku": "A", "category": "b"}]}, "product_and_category", "rules[0]"),
    ({"rules": [{"level": 1, "rate_bps": 5}, {"level": 1, "rate_bps": 6}]}, "rule_twice", "rules[1]"),
    ({"rules": [{"level": 1, "rate_bps": -5}]}, "range", "rules[0].rate_bps"),
    ({"binding": {"mode": "magic"}}, "choice", "binding.mode"),
    ({"release": {"hold_days": -1}}, "range", "release.hold_days"), ({"earners": "nobody"}, "choice", "earners"),
    ({"ladder": {"steps": []}}, "ladder_empty", "ladder.steps"),
    ({"ladder": {"steps": STEPS[::-1]}}, "ladder_order", "ladder.steps[1]"),
    ({"ladder": {"steps": [STEPS[0], STEPS[0]]}}, "ladder_order", "ladder.steps[1]"),
    ({"ladder": {"steps": STEPS, "mode": "steep"}}, "choice", "ladder.mode"),
    ({"ladder": {"steps": [{"from_fen": 0, "rate_bps": 5_000}]}}, "cap_broken", "cap_bps"),
    ({"team": {"rate_bps": 200, "roles": []}}, "team_nobody", "team.roles"),
    ({"team": {"rate_bps": 1_500}}, "cap_broken", "cap_bps"),
    ({"phases": [LAUNCH, {**LAUNCH, "name": "又一期"}]}, "phases_overlap", "phases"),
    ({"phases": [{**LAUNCH, "ends_before": "2027-01-04"}]}, "phase_ends", "phases[0]"),
    ({"phases": [{**LAUNCH, "starts_on": "yesterday"}]}, "type", "phases[0].starts_on"),
    ({"boosts": {"max_bps": 9_999}}, "range", "boosts.max_bps"),
    ({"milestones": {"streak_days": 1}}, "range", "milestones.streak_days"),
    ({"service": [{"key": "a", "title": "回复", "fen": 5}] * 2}, "service_twice", "service[1].key"),
    ({"withdrawal": {"bill_min_fen": 10, "bill_max_fen": 5}}, "range", "withdrawal.bill_max_fen"),
    ({"rules": [{"level": 1, "rate_bps": 5, "sku": str(n)} for n in range(1_001)]}, "too_many_rules", "rules"),
    ({"levels": 10**15}, "range", "levels"),
    ({"tax": {"method": "never"}}, "choice", "tax.method"), ({"name": " "}, "name", "name"),
    ({"name": "稳 赚 不赔"}, "wording", "name"),
]


@pytest.mark.parametrize(("change", "code", "where"), REFUSED)
def test_an_unsafe_plan_is_refused(change: dict[str, Any], code: str, where: str) -> None:
    document = {**TWO.document(), **change}
    errors = [one for one in plans.check(document, WORDING) if one.severity == "error"]
    assert (code, where) in {(one.code, one.where) for one in errors}
    if code != "wording":
        with pytest.raises(DomainError, match="plan_invalid"):
            plans.parse(document)


def test_all_findings_come_at_once_errors_first() -> None:
    document = {**TWO.document(), "levels": "two", "cap_bps": 5.5, "phases": [{"name": 1}], "oops": 1}
    found = plans.check(document, WORDING)
    assert {one.where for one in found} == {"levels", "cap_bps", "phases[0].name", "phases[0].starts_on", "oops"}
    severities = [one.severity for one in plans.check({**TWO.document(), "name": "全网最低"}, WORDING)]
    assert severities == sorted(severities) and set(severities) == {"error", "warning"}


WARNED: list[tuple[dict[str, Any], str]] = [
    ({}, "law_levels"), ({}, "law_team"), ({"levels": 3}, "law_three_levels"), ({"levels": 3}, "level_without_rule"),
    ({"milestones": {"team_fen": 100}}, "law_team_milestone"), ({"tax": {"method": "none"}}, "law_no_tax"),
    ({"release": {"hold_days": 3}}, "hold_short"), ({}, "role_overruled"),
    ({"earners": "promoters", "rules": [{"level": 1, "rate_bps": 5, "role": "member"}]}, "rule_unreachable"),
    ({"rules": [{"level": 1, "rate_bps": 5, "role": role} for role in ("member", "promoter", "gold", "partner")]
      + [{"level": 1, "rate_bps": 6}]}, "rule_unreachable"),
    ({"earners": "promoters", "team": {"rate_bps": 5, "roles": ["member"]}}, "team_unreachable"),
    ({"ladder": {"steps": [STEPS[0], {"from_fen": 100, "rate_bps": 300}]}}, "ladder_falls"),
    ({"ladder": {"steps": STEPS, "mode": "whole"}}, "ladder_jumps"),
    ({"phases": [{**LAUNCH, "factor_bps": 5_000}]}, "phase_lowers"), ({"phases": [LAUNCH]}, "phase_limited"),
    ({"cap_bps": 6_000}, "cap_high"), ({"name": "限时秒杀"}, "wording"),
    ({"withdrawal": {"min_fen": 300_000}}, "withdrawal_days"),
]


@pytest.mark.parametrize(("change", "code"), WARNED)
def test_what_somebody_should_know_is_said_and_keeps_nothing_back(change: dict[str, Any], code: str) -> None:
    document = {**TWO.document(), **change}
    assert code in {one.code for one in plans.check(document, WORDING) if one.severity == "warning"}
    plans.parse(document)


def test_every_finding_has_a_sentence_for_operators() -> None:
    changes = [change for change, *_ in REFUSED] + [change for change, _ in WARNED]
    told = {f"plan.finding.{one.code}": one.facts for change in changes
            for one in plans.check({**TWO.document(), **change}, WORDING)}
    for key, facts in told.items():
        assert VOICE.render(key, **facts)
    of_the_shop = {f"plan.finding.{code}" for code in (
        "date_over", "levels_not_allowed", "team_not_allowed", "sku_unknown", "unchanged")}
    every = VOICE.keys()
    assert {key for key in every if key.startswith("plan.finding.")} == set(told) | of_the_shop


@pytest.mark.parametrize("plan", [FIRST, TWO], ids=lambda plan: plan.name)
def test_the_shipped_plans_may_be_published_and_survive_their_documents(plan: plans.Plan) -> None:
    document = json.loads(json.dumps(plan.document()))
    assert plans.parse(document) == plan
    assert [one for one in plans.check(document, WORDING) if one.severity == "error"] == []


def test_the_first_shop_pays_no_downline_and_is_warned_of_nothing_in_law() -> None:
    assert not [one for one in plans.check(FIRST.document(), WORDING) if one.code.startswith("law")]
    assert FIRST.levels == 1 and FIRST.team is None


def test_a_plan_stored_long_ago_is_read_with_everything_new_off() -> None:
    old = {"name": "alt", "levels": 1, "rules": [{"level": 1, "rate_bps": 9_000}], "cap_bps": 100, "gone": True}
    plan = plans.stored(old, 7)
    assert (plan.version, plan.ladder, plan.team, plan.phases, plan.milestones, plan.service) == (
        7, None, None, (), None, ())
    assert plan.rate_with(800, 10_000, 20_000) == 800


def test_a_toml_text_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(DomainError, match=r"plan_unreadable.*line 2"):
        plans.read("a = 1\nlevels = ,\n")
    assert plans.read("x = 2027-01-04\n[[y]]\nz = 2027-01-05")["y"] == [{"z": "2027-01-05"}]


def test_phases_switch_by_date() -> None:
    plan = replace(FIRST, phases=(
        plans.Phase("a", date(2027, 1, 4), date(2027, 1, 18), 15_000), plans.Phase("b", date(2027, 1, 18))))
    names = [phase.name if (phase := plan.phase_on(date(2027, 1, day))) else "" for day in (3, 4, 17, 18, 30)]
    assert names == ["", "a", "a", "b", "b"]


@pytest.mark.parametrize(("rate", "phase", "boost", "result"), [
    (800, 10_000, 10_000, 800), (800, 15_000, 12_000, 1_440), (2_500, 15_000, 12_000, 3_500),
    (500, 15_000, 10_000, 750), (333, 15_000, 10_000, 500), (800, 10_000, 99_000, 960), (800, 5_000, 10_000, 400),
    (4_000, 12_000, 10_000, 4_000),
])
def test_phase_and_boost_lift_a_rate_up_to_the_limit(rate: int, phase: int, boost: int, result: int) -> None:
    assert FIRST.rate_with(rate, phase, boost) == result


rates = st.integers(0, 4_000)
rules = st.builds(
    plans.Rule, st.integers(1, 2), rates, st.sampled_from(["", "A", "B"]), st.just(""),
    st.sampled_from(["", "gold", "partner"]),
) | st.builds(
    plans.Rule, st.integers(1, 2), rates, st.just(""), st.sampled_from(["", "x", "y"]),
    st.sampled_from(["", "gold", "partner"]),
)


@given(st.lists(rules, min_size=1, max_size=8, unique_by=lambda rule: (rule.level, rule.key)),
       st.sampled_from(["A", "B", "C"]), st.sampled_from(["x", "y", "z"]),
       st.tuples(*[st.sampled_from(["member", "gold", "partner"])] * 2), st.integers(0, 30_000),
       st.tuples(*[st.integers(10_000, 30_000)] * 2), st.integers(1, 10_000))
def test_no_sale_is_dearer_than_the_worst_case(
    some: list[plans.Rule], sku: str, category: str, roles: tuple[str, str], factor: int, boosts: tuple[int, int],
    top: int,
) -> None:
    day = date(2026, 11, 20)
    plan = replace(TWO, rules=tuple(some), cap_bps=10_000, phases=(plans.Phase("a", day, None, factor),),
                   boosts=plans.Boosts(20_000, top))
    above = Above([2, 3], dict(zip((2, 3), roles, strict=True)), dict(zip((2, 3), boosts, strict=True)))
    for when in (day, date(2026, 11, 19)):
        deal = strike(1, [SaleLine(1, sku, category, 10_000)], above, plan, when)
        assert sum(part.uncut_fen for part in deal) <= worst_case(plan).base_bps


def test_what_the_shop_says_by_itself_holds_no_dangerous_word() -> None:
    """Beside the texts that quote the law."""
    folders = ("copy", "posters", "menus", "plans", "demo")
    files = [path for folder in folders for path in (ASSETS / folder).glob("*.toml")]
    wrong = [(path.name, where, hit.word) for path in files if path.name not in ("plans.toml", "compliance.toml")
             for where, text in texts_of(tomllib.loads(path.read_text("utf-8"))).items()
             for hit in WORDING.find(text) if hit.group.severity == "error"]
    assert len(files) > 20 and wrong == []


@pytest.mark.parametrize(("text", "found"), [
    ("稳赚不赔", ["稳赚不赔"]), ("稳 赚", ["稳赚"]), ("稳·赚", ["稳赚"]), ("Ｎｏ．１ 大米", ["no1"]),
    ("月入3万", ["月入3万"]), ("全网第一", ["全网第一"]), ("第一单有礼", []), ("最好提前三天下单", []),
    ("100%有机", ["100%"]), ("分享到3个群", ["分享到3个群"]),
    ("恭喜发财", []), ("新米上市，口感软糯", []), ("祝您生意兴隆", []), ("治\u200b疗失眠", ["治疗"]),
])
def test_dangerous_words_are_found_through_spaces_and_ornaments(text: str, found: list[str]) -> None:
    assert [hit.word for hit in WORDING.find(text)] == found


def test_a_broken_list_of_words_is_named() -> None:
    for broken in ('[[group]]\nkey = "a"', '[[group]]\nkey="a"\ntitle="b"\nwhy="c"\npatterns=["("]',
                   '[[group]]\nkey="a"\ntitle="b"\nwhy="c"'):
        with pytest.raises(ValueError, match="sensitive_words"):
            Wording.load(broken)
