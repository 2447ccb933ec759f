"""The programme of rewards for coming back: one typed document, assets/ladders.toml, checked as a whole. Pure."""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError
from domain.shared.records import record

RewardKind = Literal["red_packet", "coupon", "tier"]

DISCOUNT = "discount:"
"""Prefix of a benefit that is a price: ``discount:9500`` pays 95 %."""
BENEFITS = ("priority_service", "dedicated_service", "birthday_gift", "free_shipping", "priority_shipping")
"""Benefits that the mall may read, beside discounts."""
BIRTHDAY = "birthday_gift"
MOST_FEN = 20_000
"""More than 200 yuan a step is a slip of the finger."""


class Tier(Struct, frozen=True, forbid_unknown_fields=True):
    """A membership by key; ``title`` is what people call it."""

    key: str
    title: str


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """A step of the see-order rewards: reached by the ``order``-th kept order, if that was paid within ``within_days``
    of the first. ``amount_fen``: what it is worth, None where it is not money."""

    order: int
    kind: RewardKind
    title: str
    amount_fen: int | None = None
    within_days: int | None = None
    offer: str = ""
    tier: str = ""
    benefits: tuple[str, ...] = ()

    @property
    def repurchases(self) -> int:
        """Orders after the first."""
        return self.order - 1


class Band(Struct, frozen=True, forbid_unknown_fields=True):
    """What each repurchase gives, from the ``from_repurchase``-th up to the next band."""

    from_repurchase: int
    title: str
    points: int
    red_packet_fen: int = 0


class Goal(Struct, frozen=True, forbid_unknown_fields=True):
    """What so many points of the ladder open."""

    points: int
    kind: Literal["coupon", "tier"]
    title: str
    offer: str = ""
    tier: str = ""
    benefits: tuple[str, ...] = ()


class Invite(Struct, frozen=True, forbid_unknown_fields=True):
    """For a friend's first repurchase within ``within_days`` of their first order, and for their second."""

    within_days: int
    sharer_fen: int
    sharer_title: str
    buyer_fen: int
    buyer_title: str
    second_offer: str
    second_title: str


class Circle(Struct, frozen=True, forbid_unknown_fields=True):
    """Whoever wears the tag has the benefits as long as they wear it."""

    tag: str
    benefits: tuple[str, ...]


class _SeeOrder(Struct, frozen=True, forbid_unknown_fields=True):
    step: tuple[Step, ...]


class _Climb(Struct, frozen=True, forbid_unknown_fields=True):
    band: tuple[Band, ...]
    goal: tuple[Goal, ...] = ()


class Programme(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole document. Bands, goals and steps are lowest first."""

    return_days: int
    min_kept_fen: int
    tier: tuple[Tier, ...]
    see_order: _SeeOrder
    climb: _Climb
    invite: Invite | None = None
    circle: tuple[Circle, ...] = ()

    def benefits_of(self, tags: Collection[str]) -> list[str]:
        """What the circles of these tags bring."""
        return [code for one in self.circle if one.tag in tags for code in one.benefits]

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.see_order.step

    @property
    def bands(self) -> tuple[Band, ...]:
        return self.climb.band

    @property
    def goals(self) -> tuple[Goal, ...]:
        return self.climb.goal

    def band_of(self, repurchase: int) -> Band | None:
        """What the n-th repurchase belongs to; None below the first band."""
        found = [band for band in self.bands if band.from_repurchase <= repurchase]
        return found[-1] if found else None

    def climbed(self, repurchases: int) -> int:
        """Points of the ladder for so many repurchases."""
        return sum(band.points for n in range(1, repurchases + 1) if (band := self.band_of(n)))

    def title_of(self, tier: str) -> str:
        """What a tier is called; its key when the shop has dropped it meanwhile."""
        return next((one.title for one in self.tier if one.key == tier), tier)

    def highest(self, tiers: Collection[str]) -> str | None:
        """The highest of some tiers, None of none; one that the shop has dropped ranks lowest."""
        rank = {one.key: n for n, one in enumerate(self.tier)}
        return max(tiers, key=lambda key: (rank.get(key, -1), key), default=None)


@record
class Benefits:
    """Benefits of several sources put together: of two prices the better one counts."""

    codes: tuple[str, ...]

    @classmethod
    def of(cls, codes: Collection[str]) -> "Benefits":
        prices = [int(code.removeprefix(DISCOUNT)) for code in codes if code.startswith(DISCOUNT)]
        best = [f"{DISCOUNT}{min(prices)}"] if prices else []
        return cls((*best, *sorted({code for code in codes if not code.startswith(DISCOUNT)})))


def load(toml: str, offers: Collection[str]) -> Programme:
    """``offers``: the coupon offers there are. Raises DomainError("programme_invalid", faults=[…]) with every fault."""
    try:
        raw: Mapping[str, Any] = tomllib.loads(toml)
        found = msgspec.convert(raw, Programme, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("programme_invalid", faults=[str(fault)]) from fault
    faults = list(_faults(found, offers))
    if faults:
        raise DomainError("programme_invalid", faults=faults)
    return found


def _faults(found: Programme, offers: Collection[str]) -> Iterator[str]:
    if not 0 <= found.return_days <= 90:
        yield "return_days: 0 to 90"
    if found.min_kept_fen < 1:
        yield "min_kept_fen: at least 1, or an order that was given back would count"
    keys = [one.key for one in found.tier]
    if len(set(keys)) != len(keys) or not all(one.key.isidentifier() and one.title for one in found.tier):
        yield "tier: each key once, a plain word, with a title"
    yield from _rising("see_order.step", "order", [step.order for step in found.steps], 2)
    yield from _rising("climb.band", "from_repurchase", [band.from_repurchase for band in found.bands], 1)
    yield from _rising("climb.goal", "points", [goal.points for goal in found.goals], 1)
    for step in found.steps:
        place = f"see_order.step order {step.order}"
        yield from _given(place, step, keys, offers)
        if step.kind == "tier" and step.amount_fen is not None:
            yield f"{place}: a tier has no amount_fen"
        if step.kind != "tier" and not 0 < (step.amount_fen or 0) <= MOST_FEN:
            yield f"{place}: amount_fen 1 to {MOST_FEN}"
        if step.within_days is not None and step.within_days < 1:
            yield f"{place}: within_days at least 1"
    for goal in found.goals:
        yield from _given(f"climb.goal points {goal.points}", goal, keys, offers)
    for band in found.bands:
        if band.points < 0 or not 0 <= band.red_packet_fen <= MOST_FEN or not band.title:
            yield f"climb.band from {band.from_repurchase}: a title, no number below 0, at most {MOST_FEN} fen"
    for circle in found.circle:
        if not circle.tag or not circle.benefits or not all(map(_known, circle.benefits)):
            yield f"circle {circle.tag}: a tag, and benefits that are known"
    if found.invite:
        yield from _invite(found.invite, offers)


def _rising(place: str, name: str, numbers: list[int], least: int) -> Iterator[str]:
    if any(a >= b for a, b in pairwise(numbers)) or any(n < least for n in numbers):
        yield f"{place}: {name} from {least} on, each once, lowest first"


def _given(place: str, one: Step | Goal, tiers: Collection[str], offers: Collection[str]) -> Iterator[str]:
    if not one.title:
        yield f"{place}: needs a title"
    if (one.kind == "coupon") != bool(one.offer) or (one.offer and one.offer not in offers):
        yield f"{place}: a coupon, and nothing else, names an offer of rewards.toml"
    if (one.kind == "tier") != bool(one.tier) or (one.tier and one.tier not in tiers):
        yield f"{place}: a tier, and nothing else, names one of the tiers"
    for code in one.benefits:
        if not _known(code) or one.kind != "tier":
            yield f"{place}: benefit {code!r} is not known (or not for a {one.kind})"


def _known(code: str) -> bool:
    price = code.removeprefix(DISCOUNT)
    return price.isdecimal() and 1 <= int(price) < 10_000 if code.startswith(DISCOUNT) else code in BENEFITS


def _invite(invite: Invite, offers: Collection[str]) -> Iterator[str]:
    if invite.within_days < 1:
        yield "invite: within_days at least 1"
    if not all(0 <= fen <= MOST_FEN for fen in (invite.sharer_fen, invite.buyer_fen)):
        yield f"invite: sharer_fen and buyer_fen 0 to {MOST_FEN}"
    if invite.second_offer not in offers:
        yield "invite: second_offer must be an offer of rewards.toml"
    if not (invite.sharer_title and invite.buyer_title and invite.second_title):
        yield "invite: needs its titles"
