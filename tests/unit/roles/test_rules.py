"""The rules of roles against a naive reading of them, moment by moment and month by month."""

from collections import Counter
from datetime import date, timedelta
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from domain.roles.rules import (
    Ending,
    Kept,
    Notice,
    Period,
    Purchase,
    Record,
    Target,
    Warned,
    deadline,
    judge,
    later,
    repurchase_periods,
    repurchases,
)
from domain.shared.clock import SHANGHAI
from tests.conftest import MORNING
from tests.examples import examples

REACHED: Counter[str] = Counter()
LAST = 14


def at(tick: int):
    return MORNING + timedelta(hours=tick)


ticks = st.integers(0, LAST)
bought = st.builds(
    lambda paid, final, lost: (paid, None if final is None else paid + final, None if lost is None else paid + lost),
    ticks, st.none() | st.integers(1, 5), st.none() | st.none() | st.integers(0, 8))


def naive(purchases: list[Purchase], endings: list[Ending], needed: int) -> list[tuple[int, int | None, int | None]]:
    """(from, until, confirmed) in ticks, by walking through every hour and looking at the world afresh."""
    periods: list[list[int | None]] = []
    inside, sure, cut = False, False, None
    for tick in range(LAST + 20):
        now = at(tick)
        for ending in endings:
            if ending.at == now:
                if inside:
                    periods[-1][1], inside = tick, False
                cut = now if ending.afresh else cut
        mine = [p for p in purchases if cut is None or p.paid_at > cut]
        kept = [p for p in mine if p.paid_at <= now and not (p.lost_at and p.lost_at <= now)]
        final = [p for p in kept if p.final_at and p.final_at <= now]
        if not inside and any(p.paid_at == now for p in mine) and len(kept) - 1 >= needed:
            periods.append([tick, None, None])
            inside, sure = True, False
        elif inside and max(0, len(kept) - 1) < (1 if sure else needed):
            periods[-1][1], inside = tick, False
        if inside and not sure and len(final) - 1 >= needed:
            periods[-1][2], sure = tick, True
    return [(int(p[0] or 0), p[1], p[2]) for p in periods]


@examples(150)
@example([(0, 1, None), (1, 2, 5)], [], 1, Random(0))  # confirmed, then all is returned
@example([(0, None, None), (1, None, 5)], [], 1, Random(0))  # returned while provisional
@example([(0, 1, None), (1, 2, None), (5, 6, None)], [(3, False)], 1, Random(0))  # demoted, and come back
@example([(0, None, None), (1, None, None), (4, None, None), (5, None, None)], [(3, True)], 1, Random(0))  # afresh
@example([(0, None, None), (1, None, None), (2, None, None)], [(1, True)], 1, Random(0))  # afresh, as one is paid for
@given(st.lists(bought, max_size=9), st.lists(st.tuples(ticks, st.booleans()), max_size=2), st.integers(1, 3),
       st.randoms(use_true_random=False))
def _periods_agree(orders, ended, needed, dice) -> None:
    purchases = [Purchase(n, at(paid), None if final is None else at(final), None if lost is None else at(lost))
                 for n, (paid, final, lost) in enumerate(orders)]
    endings = [Ending(at(tick), "operator", afresh) for tick, afresh in ended]
    dice.shuffle(purchases)
    found = repurchase_periods(purchases, endings, lambda _: needed, at(LAST + 19))

    def tick(moment):
        return None if moment is None else round((moment - MORNING) / timedelta(hours=1))

    assert [(tick(p.since), tick(p.until), tick(p.confirmed_at)) for p in found] == naive(purchases, endings, needed)
    dice.shuffle(purchases)
    assert repurchase_periods(purchases, endings, lambda _: needed, at(LAST + 19)) == found
    _count(found, endings)


def test_periods_of_coming_back_are_those_of_the_naive_reading() -> None:
    _periods_agree()
    for path in ("two periods", "confirmed", "returned while provisional", "all returned", "demoted", "afresh"):
        assert REACHED[path], path


def _count(found: list[Period], endings: list[Ending]) -> None:
    REACHED["two periods"] += len(found) > 1
    REACHED["confirmed"] += any(p.confirmed_at for p in found)
    REACHED["returned while provisional"] += any(p.reason == "returned" and not p.confirmed_at for p in found)
    REACHED["all returned"] += any(p.reason == "returned" and bool(p.confirmed_at) for p in found)
    REACHED["demoted"] += any(p.reason == "operator" for p in found)
    REACHED["afresh"] += any(e.afresh for e in endings) and len(found) > 1


def test_what_is_known_later_never_reaches_back_before_its_fact() -> None:
    orders = [Purchase(n, at(n), at(n + 2)) for n in range(4)]
    assert repurchase_periods(orders, [], lambda _: 3, at(2)) == []
    assert repurchase_periods(orders, [], lambda _: 3, at(3)) == [Period(3, at(3), 3)]
    assert repurchase_periods(orders, [], lambda _: None, at(9)) == [], "nobody can earn a role that has no rule"
    assert repurchases(orders, at(0)) == 0 and repurchases([], at(0)) == 0


MONTH = Notice(months=1, days=20)
TARGET = Target(at_least_fen=100, months=3, below_months=3, notice=MONTH)
KEPT = Kept(needed=3, notice=MONTH)
FIRST = date(2026, 1, 1)


@examples(100)
@example([(100, 3), (0, 3), (100, 1), (0, 6)], [0] * 24)
@example([(100, 3), (0, 6), (99, 3)], [27] * 24)
@given(st.lists(st.tuples(st.sampled_from([0, 99, 100, 500]), st.integers(1, 6)), min_size=1, max_size=4),
       st.lists(st.sampled_from([0, 0, 0, 3, 11, 27]), min_size=24, max_size=24))
def _partners_are_judged_fairly(runs, lates) -> None:
    """``runs``: what was sold a month, and for how many months; ``lates``: how many days late each assessment ran."""
    months = list(zip([fen for fen, count in runs for _ in range(count)], lates, strict=False))
    since: date | None = None
    warned: Warned | None = None
    sold = [fen for fen, _ in months]
    for number, (_, late) in enumerate(months):
        month = later(FIRST, number)
        now = MORNING.replace(year=later(month, 1).year, month=later(month, 1).month, day=1) + timedelta(days=late)
        record = Record(month, tuple(reversed(sold[: number + 1])), may_rise=since is None, partner_since=since,
                        warned={"partner": warned} if warned else {})
        verdict = judge(record, TARGET, KEPT, now)
        three = sold[max(0, number - 2): number + 1]
        assert verdict.promote == (since is None and len(three) == 3 and min(three) >= 100)
        if verdict.demote:
            assert since is not None and warned is not None and later(since, 3) <= month
            assert max(three) < 100 and len(three) == 3
            assert now - warned.at >= timedelta(days=20) and warned.month < month
            assert now.astimezone(SHANGHAI).date() > deadline(warned, MONTH)
            since, warned = None, None
            REACHED["back"] += 1
        elif since is not None and later(since, 3) <= month and max(three) < 100:
            assert (warned is None) == (verdict.warn == ("partner",)), "who is not demoted now has been told"
            REACHED["put off"] += warned is not None
        if verdict.warn:
            warned = Warned(now, month)
        if verdict.calm:
            warned = None
            REACHED["saved"] += 1
        if verdict.promote:
            since = month = later(month, 1)
            REACHED["partner"] += 1


def test_partners_rise_and_fall_by_whole_months_and_never_unwarned() -> None:
    _partners_are_judged_fairly()
    for path in ("saved", "put off", "partner", "back"):
        assert REACHED[path], path


def test_one_role_at_a_time() -> None:
    old = Warned(MORNING - timedelta(days=60), date(2026, 9, 1))
    record = Record(date(2026, 10, 1), (0, 0, 0), partner_since=date(2026, 1, 1), gold=0,
                    warned={"partner": old, "gold": old})
    verdict = judge(record, TARGET, KEPT, MORNING)
    assert (verdict.demote, verdict.warn, verdict.calm) == ("partner", (), ())


def test_a_late_warning_runs_its_whole_notice() -> None:
    warned = Warned(MORNING, date(2026, 10, 1))                     # told on 20 November instead of the 1st
    assert deadline(warned, MONTH) == date(2026, 12, 31)
    record = Record(date(2026, 11, 1), (), gold=2, warned={"gold": warned})
    assert judge(record, None, KEPT, MORNING + timedelta(days=11)).demote is None
    assert judge(record, None, KEPT, MORNING + timedelta(days=41)).demote is None
    assert judge(record, None, KEPT, MORNING + timedelta(days=42)).demote == "gold"
