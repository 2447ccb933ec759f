"""Binding rules, pure: what a touch does to whom somebody belongs.

Every decision is made at the touch's own time, not at its arrival. So a touch that arrives late fills the time before
a newer binding and never ends it, and a touch told twice changes nothing the second time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.shared.records import record

Mode = Literal["first_touch", "last_touch", "permanent"]
OutcomeKind = Literal["bound", "taken_over", "late", "kept", "self", "cycle", "unknown_code"]


@record
class BindingPolicy:
    """How the shop binds newcomers to sharers.

    first_touch: a binding holds while valid; another sharer only after it expired. last_touch: a newer touch of another
    sharer takes over once the protection is over. permanent: a binding never ends. ``renew_on_purchase``: a purchase
    inside the validity starts ``valid_days`` anew.
    """

    mode: Mode = "first_touch"
    valid_days: int = 30
    protect_days: int = 15
    renew_on_purchase: bool = True


@record
class Touch:
    """``referee_id`` met the poster or link of a sharer, named by ``sharer_id`` or else by ``referral_code``."""

    referee_id: int
    at: datetime
    source: str
    sharer_id: int = 0
    referral_code: str = ""
    scene: str = ""


@record
class BindOutcome:
    """What a touch did. ``referrer_id``: whom they belong to at the touch's time, ``until`` then (None: no end).

    bound · taken_over (from another) · late (bound, but only until a newer binding begins) · kept (belonged to
    ``referrer_id`` already) · self (own code) · cycle (the sharer is below them) · unknown_code. The last three leave
    ``referrer_id`` None.
    """

    kind: OutcomeKind
    referrer_id: int | None = None
    until: datetime | None = None

    @property
    def bound(self) -> bool:
        """Whether this very touch tied them to the sharer, at least until a newer binding."""
        return self.kind in ("bound", "taken_over", "late")


@record
class Edge:
    """A row of referral. ``id`` 0: not stored yet."""

    referee_id: int
    referrer_id: int
    source: str
    bound_at: datetime
    valid_until: datetime | None
    protected_until: datetime
    ended_at: datetime | None = None
    end_reason: str = ""
    id: int = 0

    def valid_at(self, at: datetime) -> bool:
        """Whether a purchase at that time belongs to the referrer."""
        alive = self.ended_at is None or at < self.ended_at
        return alive and self.bound_at <= at and (self.valid_until is None or at < self.valid_until)


@record
class End:
    """Edge ``id`` ends."""

    id: int
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome and the change of the graph that it asks for."""

    outcome: BindOutcome
    start: Edge | None = None
    ends: tuple[End, ...] = ()


def decide(touch: Touch, history: Sequence[Edge], policy: BindingPolicy) -> Decision:
    """What ``touch`` (its ``sharer_id`` known) does to a referee with these edges. Cycles are judged later."""
    if touch.sharer_id == touch.referee_id:
        return Decision(BindOutcome("self"))
    at = touch.at
    for edge in history:
        if edge.ended_at is not None and edge.bound_at <= at < edge.ended_at:
            return _kept(edge)
    active = next((edge for edge in history if edge.ended_at is None and edge.bound_at <= at), None)
    fresh = _edge(touch, policy)
    if active is None:
        newer = min((edge.bound_at for edge in history if edge.bound_at > at), default=None)
        return _start("bound", fresh) if newer is None else _start("late", _cut(fresh, newer))
    if not active.valid_at(at):
        expired = End(active.id, active.valid_until or at, "expired")
        return _start("bound", fresh, expired)
    unprotected = policy.mode == "last_touch" and at >= active.protected_until
    if active.referrer_id != touch.sharer_id and active.valid_until is not None and unprotected:
        return _start("taken_over", fresh, End(active.id, at, "taken_over"))
    return _kept(active)


def _edge(touch: Touch, policy: BindingPolicy) -> Edge:
    until = None if policy.mode == "permanent" else touch.at + timedelta(days=policy.valid_days)
    protected = touch.at + timedelta(days=policy.protect_days)
    return Edge(touch.referee_id, touch.sharer_id, touch.source, touch.at, until, protected)


def _cut(edge: Edge, newer: datetime) -> Edge:
    return Edge(edge.referee_id, edge.referrer_id, edge.source, edge.bound_at, edge.valid_until, edge.protected_until,
                newer, "late")


def _kept(edge: Edge) -> Decision:
    return Decision(BindOutcome("kept", edge.referrer_id, edge.valid_until))


def _start(kind: OutcomeKind, edge: Edge, *ends: End) -> Decision:
    until = min(filter(None, (edge.valid_until, edge.ended_at)), default=None)
    return Decision(BindOutcome(kind, edge.referrer_id, until), edge, ends)


def break_cycle(start: Edge, above: Mapping[int, Edge]) -> tuple[End, ...] | None:
    """Whether ``start`` may be added to the edges ``above`` (by referee, none ended).

    Walks up from the new referrer. Meets the referee: only edges that have expired by then are in the way → they end
    (the answer); a living way up → None, that is a cycle. () when nothing is in the way.
    """
    path: list[Edge] = []
    person = start.referrer_id
    while person != start.referee_id:
        edge = above.get(person)
        if edge is None or len(path) > len(above):
            return ()
        path.append(edge)
        person = edge.referrer_id
    return tuple(
        End(edge.id, edge.valid_until, "expired")
        for edge in path if edge.id and edge.valid_until is not None and edge.valid_until <= start.bound_at
    ) or None


def renewed(first_until: datetime, purchases: Iterable[datetime], policy: BindingPolicy) -> datetime:
    """Validity after the purchases, whatever order they became known in: each inside the validity starts it anew."""
    until = first_until
    for at in sorted(purchases):
        if at < until:
            until = max(until, at + timedelta(days=policy.valid_days))
    return until
