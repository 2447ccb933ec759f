"""Risk rules as plain functions: each at its limit and just below it; and the document, checked as a whole."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.runtime.bootstrap import ASSETS
from bot.runtime.voice import Voice
from domain.risk import rules as judge
from domain.risk.rules import NEEDS, Paid, Rules, Sale, Trace
from domain.shared.seal import Seal

DOCUMENT = (ASSETS / "risk.toml").read_text("utf-8")
RULES = Rules.load(DOCUMENT)
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
SHARER = 1


def trace(order: int, buyer: int, kind: str = "payer", thing: str = "a", orders: int = 1, **more) -> Trace:
    return replace(Trace(kind, thing * 64, order, buyer, NOW, (SHARER, 2), orders), **more)


def sale(order: int, buyer: int = 0, **more) -> Sale:
    plain = Sale(order, buyer or order, NOW, 990, 1, "530102", NOW, 1, False, False)
    return replace(plain, **more)


def swept(rule: str, sales: list[Sale], home: str = "530102", now: datetime = NOW) -> list[judge.Hit]:
    return [hit for hit in judge.sweep(SHARER, sales, home, RULES, now) if hit.rule == rule]


def test_every_fault_of_the_document_is_named_at_once() -> None:
    broken = DOCUMENT.replace("severity = 95", "severity = 0").replace("[rules.ring]", "[rules.rings]").replace(
        "answer_hours = 72", "answer_hours = 0").replace("small_fen = 1000", "", 1)
    with pytest.raises(ValueError) as fault:
        Rules.load(broken)
    for part in ("self_phone: severity", "ring is missing", "rings is unknown", "answer_hours", "star needs exactly"):
        assert part in str(fault.value)
    for wrong in ("effect = \"hold\"\nx = 1", "effect = \"steal\""):
        with pytest.raises(ValueError, match=r"risk\.toml"):
            Rules.load(DOCUMENT.replace('effect = "hold"', wrong, 1))


def test_every_rule_has_words_for_the_person_without_its_limits() -> None:
    voice = Voice(ASSETS / "copy")
    for key in (*NEEDS, judge.FREEZE):
        said = voice.render(f"risk.reason.{key}")
        assert said and not any(digit in said for digit in "0123456789")


def test_a_rule_that_is_off_says_nothing() -> None:
    off = Rules.load(DOCUMENT.replace('[rules.many_payer]', '[rules.many_payer]\non = false'))
    crowd = [trace(n, n) for n in range(10, 16)]
    assert [hit.rule for hit in judge.shared(crowd, RULES)] == ["many_payer"]
    assert judge.shared(crowd, off) == []


def test_a_second_account_is_one_that_mostly_uses_what_the_sharer_uses() -> None:
    own = trace(1, SHARER)
    assert judge.shared([own, trace(2, 7), trace(3, 7, orders=3), trace(4, 7, orders=3)], RULES)[0].object == "buyer:7"
    often = [own, trace(2, 7, orders=3), trace(3, 7, orders=3)]
    seldom = [own, trace(2, 7, orders=4), trace(3, 7, orders=4)]
    assert [hit.rule for hit in judge.shared(often, RULES)] == ["self_payer"]
    assert judge.shared(seldom, RULES) == []
    assert judge.shared([trace(2, 7, orders=2), trace(3, 7, orders=2)], RULES) == []
    by_openid = [trace(2, 7, orders=2, own_payer=frozenset({2})), trace(3, 7, orders=2, own_payer=frozenset({2}))]
    assert [(hit.person_id, hit.orders) for hit in judge.shared(by_openid, RULES)] == [(2, (2, 3))]


def test_what_was_shared_long_ago_does_not_count() -> None:
    old = trace(1, SHARER, at=NOW - RULES.rules["self_payer"].window - timedelta(hours=1))
    assert judge.shared([old, trace(2, 7, orders=2), trace(3, 7, orders=2)], RULES) == []


def test_one_case_for_one_buyer_in_whatever_ways_they_look_alike() -> None:
    traces = [trace(order, buyer, kind, orders=3) for kind in ("payer", "device")
              for order, buyer in ((1, SHARER), (2, 7), (3, 7), (4, 7))]
    assert [hit.rule for hit in judge.shared(traces, RULES)] == ["self_payer"]


def test_families_at_the_sharers_address_are_one_note() -> None:
    traces = [trace(1, SHARER, "address")] + [
        trace(10 * buyer + n, buyer, "address", orders=3) for buyer in (7, 8) for n in range(3)]
    hit, = judge.shared(traces, RULES)
    assert (hit.rule, hit.people, len(hit.orders), RULES.rules[hit.rule].effect) == ("self_address", (7, 8), 6, "note")


def test_one_payer_for_many_counts_buyers_not_orders() -> None:
    assert judge.shared([trace(1, 7, orders=3), trace(2, 7, orders=3), trace(3, 8)], RULES) == []
    assert judge.shared([trace(1, 7), trace(2, 8), trace(3, 9, earners=())], RULES) == []
    hit, = judge.shared([trace(1, 7), trace(2, 8), trace(3, 9)], RULES)
    assert (hit.person_id, hit.rule, hit.people) == (SHARER, "many_payer", (7, 8, 9))


def day(number: int, places: int = 1, earner: int | None = SHARER, at: datetime = NOW) -> list[Paid]:
    return [Paid(n, 7, at, earner, f"place {n % places}") for n in range(number)]


def test_five_orders_a_day_by_one_person() -> None:
    assert judge.velocity(day(4), RULES) == []
    assert [hit.rule for hit in judge.velocity(day(5), RULES)] == ["velocity"]
    assert [hit.rule for hit in judge.velocity(day(5, places=5), RULES)] == ["presents"]
    assert [hit.person_id for hit in judge.velocity(day(5, earner=None), RULES)] == [7]
    midnight = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
    late = day(3, at=midnight - timedelta(seconds=1)) + [
        replace(order, order_id=order.order_id + 10) for order in day(3, at=midnight)]
    assert judge.velocity(late, RULES) == []


def test_stars_are_most_of_what_a_sharer_has() -> None:
    points = [sale(n) for n in range(1, 9)]
    proper = [sale(n, paid_fen=9_900, orders=3) for n in range(20, 25)]
    assert swept("star", points[:7]) == []
    assert swept("star", points + proper)[0].people == tuple(range(1, 9))
    assert swept("star", points + proper + [sale(30, paid_fen=9_900)]) == []
    assert swept("star", [replace(point, orders=2) for point in points]) == []
    assert swept("star", [replace(point, paid_fen=1_001) for point in points]) == []


def test_a_burst_is_close_together() -> None:
    rush = [sale(n, paid_at=NOW - timedelta(hours=n)) for n in range(1, 6)]
    rush = [replace(one, joined_at=one.paid_at) for one in rush]
    assert len(swept("burst", rush)[0].orders) == 5
    assert swept("burst", rush[:4]) == []
    spread = [replace(one, paid_at=NOW - timedelta(hours=3 * one.order_id)) for one in rush]
    assert swept("burst", [replace(one, joined_at=one.paid_at) for one in spread]) == []


def test_bulk_far_from_home_is_diversion_presents_and_home_towns_are_not() -> None:
    bulk = [sale(n, paid_fen=50_000, pieces=6, region="440106") for n in range(1, 6)]
    assert len(swept("region", bulk)[0].orders) == 5
    assert swept("region", [replace(one, pieces=2) for one in bulk]) == []
    assert swept("region", bulk, home="440101") == []
    assert swept("region", bulk, home="") == []
    assert swept("region", [replace(one, region=f"{11 + one.order_id}0101") for one in bulk]) == []


def test_refund_abuse_is_after_release_and_takes_the_next_orders_along() -> None:
    back = [sale(n, 7, paid_fen=9_900, released=True, back_after_release=True) for n in (1, 2, 3)]
    fresh = sale(4, 7, paid_fen=9_900)
    honest = [sale(n, n, paid_fen=9_900, released=True) for n in range(20, 24)]
    assert swept("refund_abuse", [*back, fresh, *honest])[0].orders == (1, 2, 3, 4)
    assert swept("refund_abuse", [*back[:2], fresh]) == []
    assert swept("refund_abuse", [*back, *honest, sale(30, paid_fen=9_900, released=True)]) == []


def test_clusters_hang_together_two_by_two() -> None:
    def chain(length: int) -> list[Trace]:
        return [one for n in range(length) for one in (
            trace(n, 10 + n, "device", f"{n // 2:x}"), trace(n, 10 + n, "payer", f"{(n + 1) // 2:x}"))]

    assert judge.cluster(SHARER, chain(3), RULES) == []
    hit, = judge.cluster(SHARER, chain(4), RULES)
    assert hit.people == (10, 11, 12, 13)
    assert judge.cluster(9, chain(4), RULES) == []
    shuffled = chain(6)
    random.Random(1).shuffle(shuffled)
    assert judge.cluster(SHARER, shuffled, RULES)[0].people == tuple(range(10, 16))


def test_rings_need_weight_on_every_side() -> None:
    assert judge.rings([[(1, 2, [10, 11]), (2, 1, [12])]], RULES) == []
    hits = judge.rings([[(1, 2, [10, 11]), (2, 1, [12, 13])], [(2, 1, [12, 13]), (1, 2, [10, 11])]], RULES)
    assert {(hit.person_id, hit.orders) for hit in hits} == {(2, (10, 11)), (1, (12, 13))}
    assert len({hit.object for hit in hits}) == 1


def test_a_seal_tells_equal_things_from_others_and_nothing_else() -> None:
    seal = Seal(b"a key of sixteen bytes or more")
    assert seal("address", "昆明市 五华区 A座") == seal("address", "昆明市五华区a座")
    assert seal("payer", "oA") != seal("payer", "oa")
    assert seal("payer", "x") != seal("device", "x")
    assert seal("payer", "x") != Seal(b"another key of sixteen bytes")("payer", "x")
    assert "key" not in repr(seal)
    with pytest.raises(ValueError):
        Seal(b"short")


def test_the_story_of_a_seed_is_the_same_everywhere() -> None:
    from bot.runtime.rehearsal import measure

    one, again, other = measure.script(1), measure.script(1), measure.script(2)
    assert one.events == again.events
    assert one.events != other.events
    assert set(one.schemes.values()) | {"self_address", "many_address", "presents"} == set(NEEDS)
