"""How the books stand, through the API: when they were last checked, and what does not add up."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from domain.ledger import books
from handlers.web.ops.context import Asked, OpsOperation


class BooksFault(Struct):
    """Something that does not add up and is not mended yet."""

    invariant: str
    subject_id: Annotated[int, Meta(description="Of the account, order, person, … that the sentence names.")]
    sentence: str
    found_at: datetime
    seen_at: datetime


class Books(Struct):
    """Times are the database's own."""

    recent_at: Annotated[datetime | None, Meta(description="End of the last look at what moved; null for never.")]
    full_at: Annotated[datetime | None, Meta(description="End of the last look at everything; null for never.")]
    stale: Annotated[bool, Meta(description="Nobody looks any more: clock or slow worker do not run.")]
    faults: Annotated[list[BooksFault], Meta(description="Empty while everything adds up; at most 100.")]


def show(asked: Asked) -> Books:
    return msgspec.convert(books.state(asked.session), Books, from_attributes=True)


OPERATIONS = (
    OpsOperation("GET", "/books", "getBooks", "Money", "Whether the books add up",
                 "As the standing checks left it: what moved is looked at every 3 minutes, everything every night.",
                 Books, show),
)
