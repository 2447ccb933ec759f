"""What looks wrong: the typed rules of assets/risk.toml, and their verdicts on plain rows. Pure.

Every verdict is about one person who earns (or, where nobody earns, who bought), names its ``object`` so that the same
suspicion is one case, and carries ids only.
"""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from domain.shared.clock import business_date
from domain.shared.money import BPS
from domain.shared.records import record

Effect = Literal["hold", "note"]
MAX_HOURS = 24 * 366

FREEZE = "freeze"
"""The rule of a case that an operator opened by freezing somebody."""

CITY = 4
"""Digits of an administrative code that name the city."""

NEEDS: Mapping[str, frozenset[str]] = {
    "self_phone": frozenset(), "self_payer": frozenset({"share_bps"}), "self_device": frozenset({"share_bps"}),
    "self_address": frozenset({"share_bps"}), "velocity": frozenset(), "presents": frozenset(),
    "many_payer": frozenset({"share_bps"}), "many_device": frozenset({"share_bps"}),
    "many_address": frozenset({"share_bps"}), "cluster": frozenset({"share_bps"}), "ring": frozenset(),
    "star": frozenset({"small_fen", "share_bps", "fresh_hours"}),
    "burst": frozenset({"small_fen", "fresh_hours"}), "region": frozenset({"share_bps", "pieces"}),
    "refund_abuse": frozenset({"share_bps"}),
}
"""Every rule there is, and the numbers it needs besides threshold and window."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule's numbers; see assets/risk.toml. ``share_bps``: of 10000. Optional numbers are 0 where unused."""

    effect: Effect
    severity: int
    threshold: int
    window_hours: int
    small_fen: int = 0
    share_bps: int = 0
    fresh_hours: int = 0
    pieces: int = 0
    on: bool = True

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.window_hours)


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document. ``answer_hours``: within which an appeal is answered; ``trust_days``: how long a released case
    keeps the same suspicion quiet."""

    rules: dict[str, Rule]
    answer_hours: int
    trust_days: int

    @classmethod
    def load(cls, document: str) -> "Rules":
        """Read and check. Raises ValueError with every fault."""
        try:
            found = msgspec.convert(tomllib.loads(document), cls, strict=True)
        except (msgspec.ValidationError, tomllib.TOMLDecodeError) as fault:
            raise ValueError(f"risk.toml: {fault}") from fault
        faults = _faults(found)
        if faults:
            raise ValueError("risk.toml: " + "; ".join(faults))
        return found

    def live(self, key: str) -> Rule | None:
        """The rule, unless it is switched off."""
        rule = self.rules[key]
        return rule if rule.on else None

    @property
    def answer_time(self) -> timedelta:
        return timedelta(hours=self.answer_hours)

    @property
    def trust(self) -> timedelta:
        return timedelta(days=self.trust_days)

    def longest(self, *keys: str) -> timedelta:
        """The longest window of some rules."""
        return max(self.rules[key].window for key in keys)


def _faults(found: Rules) -> list[str]:
    faults = [f"rule {key} is missing" for key in NEEDS if key not in found.rules]
    faults += [f"rule {key} is unknown" for key in found.rules if key not in NEEDS]
    if not 1 <= found.answer_hours <= MAX_HOURS or not 0 <= found.trust_days <= 3_650:
        faults.append("answer_hours must be 1 to 8784, trust_days 0 to 3650")
    for key, rule in found.rules.items():
        if not 1 <= rule.severity <= 100 or not 1 <= rule.threshold <= 1_000 or not 1 <= rule.window_hours <= MAX_HOURS:
            faults.append(f"rule {key}: severity 1 to 100, threshold 1 to 1000, window_hours 1 to {MAX_HOURS}")
        if rule.share_bps > BPS or min(rule.small_fen, rule.share_bps, rule.fresh_hours, rule.pieces) < 0:
            faults.append(f"rule {key}: share_bps 0 to {BPS}, no number below 0")
        used = {name for name in ("small_fen", "share_bps", "fresh_hours", "pieces") if getattr(rule, name)}
        if used != NEEDS.get(key, used):
            faults.append(f"rule {key} needs exactly: {', '.join(sorted(NEEDS[key])) or 'nothing more'}")
    return faults


@record
class Hit:
    """A suspicion: ``person_id`` by ``rule`` about ``object``, with the orders and people that show it."""

    person_id: int
    rule: str
    object: str
    orders: tuple[int, ...]
    people: tuple[int, ...]


@record
class Trace:
    """One order that shares something with an order that was looked at: ``hash`` of ``kind``, and who earns from it.

    ``earners``: by level, nearest first. ``orders``: all that the buyer made in the time looked at. For a payer,
    ``own_payer`` holds those earners whose own openid paid.
    """

    kind: str
    hash: str
    order_id: int
    buyer_id: int
    at: datetime
    earners: tuple[int, ...]
    orders: int = 1
    own_payer: frozenset[int] = frozenset()


@record
class Paid:
    """One order of a day: who earns from it (None: nobody), and the hash of where it goes ('' if not told)."""

    order_id: int
    buyer_id: int
    at: datetime
    earner: int | None
    address: str = ""


@record
class Sale:
    """One order below a sharer as the sweep sees it. ``joined_at``: the buyer's account; ``orders``: all that the buyer
    ever made; ``back_after_release``: money went back after the commission could be withdrawn."""

    order_id: int
    buyer_id: int
    paid_at: datetime
    paid_fen: int
    pieces: int
    region: str
    joined_at: datetime
    orders: int
    released: bool
    back_after_release: bool


@dataclass(slots=True)
class _Found:
    orders: set[int] = field(default_factory=set)
    people: set[int] = field(default_factory=set)

    def hit(self, person_id: int, rule: str, thing: str) -> Hit:
        return Hit(person_id, rule, thing, tuple(sorted(self.orders)), tuple(sorted(self.people)))


def shared(traces: Iterable[Trace], rules: Rules) -> list[Hit]:
    """Self-purchase by a second account, and one payer, device or address for many buyers of one sharer."""
    groups: dict[tuple[str, str], list[Trace]] = defaultdict(list)
    for trace in traces:
        groups[(trace.kind, trace.hash)].append(trace)
    hits: list[Hit] = []
    for (kind, _), group in groups.items():
        hits += _self_bought(kind, group, rules.live(f"self_{kind}"))
        hits += _many(kind, group, rules.live(f"many_{kind}"))
    return _strongest(_joined(hits), rules)


def _strongest(hits: Sequence[Hit], rules: Rules) -> list[Hit]:
    """Of several ways in which one buyer looks like the earner, the most severe: one thing to look at, one case."""
    best: dict[tuple[int, str], int] = {}
    for hit in hits:
        pair = (hit.person_id, hit.object)
        best[pair] = max(best.get(pair, 0), rules.rules[hit.rule].severity)
    return [hit for hit in hits if rules.rules[hit.rule].severity == best[(hit.person_id, hit.object)]]


def _self_bought(kind: str, group: Sequence[Trace], rule: Rule | None) -> list[Hit]:
    """Orders of others that share the thing with an own order of whoever earns from them, when most orders of that
    buyer do: relatives lend each other a phone now and then, a second account always comes from there."""
    if rule is None:
        return []
    own: dict[int, list[datetime]] = defaultdict(list)
    for trace in group:
        own[trace.buyer_id].append(trace.at)
    found: dict[tuple[int, int], _Found] = defaultdict(_Found)
    made = {trace.buyer_id: trace.orders for trace in group}
    for trace in group:
        for earner in trace.earners:
            near = any(abs(trace.at - at) <= rule.window for at in own.get(earner, ()))
            if earner != trace.buyer_id and (near or earner in trace.own_payer):
                one = found[(earner, trace.buyer_id)]
                one.orders.add(trace.order_id)
                one.people.add(trace.buyer_id)
    # A family is one thing to look at, however many of them buy.
    home = f"address:{group[0].hash[:16]}" if kind == "address" else ""
    return [one.hit(earner, f"self_{kind}", home or f"buyer:{buyer}") for (earner, buyer), one in found.items()
            if len(one.orders) >= rule.threshold and len(one.orders) * BPS >= made[buyer] * rule.share_bps]


def _many(kind: str, group: Sequence[Trace], rule: Rule | None) -> list[Hit]:
    if rule is None:
        return []
    newest = max(trace.at for trace in group)
    found: dict[int, _Found] = defaultdict(_Found)
    uses = Counter(trace.buyer_id for trace in group)
    for trace in group:
        usual = uses[trace.buyer_id] * BPS >= trace.orders * rule.share_bps
        if trace.earners and trace.buyer_id != trace.earners[0] and usual and newest - trace.at <= rule.window:
            found[trace.earners[0]].orders.add(trace.order_id)
            found[trace.earners[0]].people.add(trace.buyer_id)
    return [one.hit(earner, f"many_{kind}", f"{kind}:{group[0].hash[:16]}") for earner, one in found.items()
            if len(one.people) >= rule.threshold]


def _joined(hits: Iterable[Hit]) -> list[Hit]:
    """One hit a suspicion: a buyer may share two payers with one sharer."""
    found: dict[tuple[int, str, str], _Found] = defaultdict(_Found)
    for hit in hits:
        one = found[(hit.person_id, hit.rule, hit.object)]
        one.orders.update(hit.orders)
        one.people.update(hit.people)
    return [one.hit(*key) for key, one in found.items()]


def velocity(orders: Iterable[Paid], rules: Rules) -> list[Hit]:
    """Too many orders of one buyer on one business day, a case for each who earns (or for the buyer). ``presents`` when
    each goes to another address."""
    days: dict[tuple[int, date], list[Paid]] = defaultdict(list)
    for order in orders:
        days[(order.buyer_id, business_date(order.at))].append(order)
    hits = []
    for (buyer_id, day), made in days.items():
        places = {order.address for order in made if order.address}
        key = "presents" if (other := rules.live("presents")) and len(places) >= other.threshold else "velocity"
        rule = rules.live(key)
        if rule is None or len(made) < rule.threshold:
            continue
        earners = {order.earner for order in made if order.earner is not None} or {buyer_id}
        for earner in sorted(earners):
            mine = tuple(sorted(order.order_id for order in made if order.earner in (earner, None)))
            hits.append(Hit(earner, key, f"buyer:{buyer_id}:{day.isoformat()}", mine, (buyer_id,)))
    return hits


def rings(found: Iterable[Sequence[tuple[int, int, Sequence[int]]]], rules: Rules) -> list[Hit]:
    """Circles of (buyer, earner, orders): a case for everybody in one, about the orders from which they earn."""
    rule = rules.live("ring")
    hits: dict[tuple[int, str], Hit] = {}
    for edges in found:
        if rule is None or min(len(orders) for _, _, orders in edges) < rule.threshold:
            continue
        thing = "ring:" + "-".join(str(member) for member in sorted(buyer for buyer, _, _ in edges))
        for buyer, earner, orders in edges:
            hits[(earner, thing)] = Hit(earner, "ring", thing, tuple(sorted(orders)), (buyer,))
    return list(hits.values())


def sweep(person_id: int, sales: Sequence[Sale], home: str, rules: Rules, now: datetime) -> list[Hit]:
    """The rules that need a sharer's whole recent business. ``home``: the region of the sharer's own orders, or ''."""
    found = [
        (key, judge([sale for sale in sales if now - sale.paid_at <= rule.window], rule, home))
        for key, judge in _JUDGES.items() if (rule := rules.live(key)) is not None
    ]
    return [
        Hit(person_id, key, key, tuple(sorted(sale.order_id for sale in bad)),
            tuple(sorted({sale.buyer_id for sale in bad})))
        for key, bad in found if bad
    ]


def _tiny(sale: Sale, rule: Rule) -> bool:
    return sale.paid_fen <= rule.small_fen and sale.paid_at - sale.joined_at <= timedelta(hours=rule.fresh_hours)


def _star(sales: Sequence[Sale], rule: Rule, home: str) -> list[Sale]:
    """New accounts that bought something tiny once, when they are most of the sharer's buyers."""
    bad = [sale for sale in sales if sale.orders == 1 and _tiny(sale, rule)]
    buyers, all_buyers = {sale.buyer_id for sale in bad}, {sale.buyer_id for sale in sales}
    enough = len(buyers) >= rule.threshold and len(buyers) * BPS >= len(all_buyers) * rule.share_bps
    return bad if enough else []


def _burst(sales: Sequence[Sale], rule: Rule, home: str) -> list[Sale]:
    """The first tiny orders of new accounts, as many as come close after each other."""
    tiny = sorted((sale for sale in sales if _tiny(sale, rule)), key=lambda sale: (sale.paid_at, sale.order_id))
    bad: dict[int, Sale] = {}
    start = 0
    for end, sale in enumerate(tiny):
        while sale.paid_at - tiny[start].paid_at > rule.window:
            start += 1
        together = tiny[start:end + 1]
        if len({one.buyer_id for one in together}) >= rule.threshold:
            bad |= {one.order_id: one for one in together}
    return list(bad.values())


def _region(sales: Sequence[Sale], rule: Rule, home: str) -> list[Sale]:
    """Bulk that goes to one city away from home, when it is most of what is sold."""
    told = [sale for sale in sales if sale.region]
    if not home or not told:
        return []
    away = Counter(sale.region[:CITY] for sale in told if sale.region[:CITY] != home[:CITY])
    if not away:
        return []
    city, number = min(away.items(), key=lambda one: (-one[1], one[0]))
    bad = [sale for sale in told if sale.region[:CITY] == city]
    bulky = sum(sale.pieces for sale in bad) >= rule.pieces * number
    return bad if number >= rule.threshold and number * BPS >= len(told) * rule.share_bps and bulky else []


def _refund_abuse(sales: Sequence[Sale], rule: Rule, home: str) -> list[Sale]:
    """Sent back after release, when that is much of what was released. The orders to come from those buyers wait, too.
    """
    bad = [sale for sale in sales if sale.back_after_release]
    released = sum(sale.released for sale in sales)
    if len(bad) < rule.threshold or len(bad) * BPS < released * rule.share_bps:
        return []
    buyers = {sale.buyer_id for sale in bad}
    return [sale for sale in sales if sale.buyer_id in buyers]


_JUDGES = {"star": _star, "burst": _burst, "region": _region, "refund_abuse": _refund_abuse}


def cluster(person_id: int, traces: Iterable[Trace], rules: Rules) -> list[Hit]:
    """Buyers of one sharer that hang together by the payers and devices that they mostly use, whoever shares with whom.
    """
    rule = rules.live("cluster")
    if rule is None:
        return []
    mine = [trace for trace in traces if trace.earners[:1] == (person_id,) and trace.kind != "address"]
    parent: dict[object, object] = {}

    def root(node: object) -> object:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    uses = Counter((trace.buyer_id, trace.kind, trace.hash) for trace in mine)
    told = Counter((trace.buyer_id, trace.kind) for trace in mine)
    for (buyer_id, kind, thing), times in uses.items():
        if times * BPS >= told[(buyer_id, kind)] * rule.share_bps:
            parent[root(buyer_id)] = root((kind, thing))
    found: dict[object, _Found] = defaultdict(_Found)
    for trace in mine:
        found[root(trace.buyer_id)].orders.add(trace.order_id)
        found[root(trace.buyer_id)].people.add(trace.buyer_id)
    return [one.hit(person_id, "cluster", f"with:{min(one.people)}") for one in found.values()
            if len(one.people) >= rule.threshold]
