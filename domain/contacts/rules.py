"""What an event makes of a relation between employee and customer, whatever the order in which events arrive. Pure.

The platform dates events to the second and promises no order. An end stands against every adding that is not dated
later; an adding that is dated later begins a new stint.
"""

from datetime import datetime
from typing import Literal

from domain.shared.records import record

EndedBy = Literal["staff", "customer", "transfer"]


@record
class Known:
    """A relation as it is known: dates are the platform's; ``added_at`` None when its beginning was not told."""

    added_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: EndedBy | Literal[""] = ""
    half: bool = False
    stint: int = 1

    @property
    def open(self) -> bool:
        return self.ended_at is None


@record
class Change:
    """What becomes of it. ``fresh``: they became friends just now, for the first time or anew. ``completed``: a half
    friend became a full one."""

    known: Known
    fresh: bool = False
    completed: bool = False


def added(known: Known | None, at: datetime, *, half: bool) -> Change:
    """They became friends, or half friends, at ``at``."""
    if known is None:
        return Change(Known(added_at=at, half=half), fresh=True)
    if known.ended_at is not None:
        if at <= known.ended_at:  # told late: they have parted since
            return Change(Known(_later(known.added_at, at), known.ended_at, known.ended_by, known.half, known.stint))
        return Change(Known(added_at=at, half=half, stint=known.stint + 1), fresh=True)
    if known.added_at is None:  # only an edit of it was told so far
        return Change(Known(added_at=at, half=half, stint=known.stint), fresh=True)
    # A full adding that is dated before the half one belongs to a stint that is over.
    completed = known.half and not half and at >= known.added_at
    return Change(Known(_later(known.added_at, at), half=known.half and not completed, stint=known.stint),
                  completed=completed)


def ended(known: Known | None, at: datetime, by: EndedBy) -> Change:
    """They parted at ``at``."""
    if known is None:
        return Change(Known(ended_at=at, ended_by=by))
    if known.ended_at is not None:
        last, by_whom = (known.ended_at, known.ended_by) if known.ended_at >= at else (at, by)
        return Change(Known(known.added_at, last, by_whom, known.half, known.stint))
    if known.added_at is not None and known.added_at > at:  # told late: they have found each other again since
        return Change(known)
    return Change(Known(known.added_at, at, by, known.half, known.stint))


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)
