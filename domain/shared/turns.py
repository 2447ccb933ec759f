"""Workers take turns at people without keeping anybody from being answered.

Who writes to the shop holds their own row of ``person`` while the message is handled (``FOR NO KEY UPDATE``), so that
messages of one person come one after the other. Work that nobody waits for must exclude its like, but not those
messages: it holds people as a foreign key does, which only a merge or an erasure waits for and is waited for, and takes
turns by a name of its own.
"""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.orm import Session

# Each person is held before their turn is taken: so it is with whoever merges or erases somebody and changes what they
# have. One after the other in the order of their ids, since a subquery that locks is read row by row.
_TAKE = text("select pg_advisory_xact_lock(hashtextextended(:what, held.id))"
             " from (select id from person where id = any (:people) order by id for key share) held")


def take(session: Session, what: str, people: Collection[int]) -> None:
    """Until the transaction ends nobody else does ``what`` for these people, and none of them is merged or erased.
    Waits for whoever does. Takes a place in the server's table of locks for each: for a few hundred people at a time.
    """
    if people:
        session.execute(_TAKE, {"what": what, "people": sorted(set(people))})
