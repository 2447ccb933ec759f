"""Reading feedback: one, or the shop's list."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.errors import NotFound
from domain.shared.records import record

STATES = ("new", "read", "adopted")


@record
class FeedbackView:
    """One feedback. ``photos``: [{media_id, pic_url}]; ``answers``: how many were sent, ``answer`` the latest."""

    id: int
    person_id: int
    nickname: str
    words: str
    photos: list[dict[str, Any]]
    filed_at: datetime
    state: str
    read_at: datetime | None
    adoptions: int
    adopted_at: datetime | None
    adopted_by: str
    outcome: str
    thanked_at: datetime | None
    answers: int
    answered_at: datetime | None
    answered_by: str
    answer: str

    def about(self, characters: int) -> str:
        """Its beginning, on one line."""
        line = " ".join(self.words.split())
        return line if len(line) <= characters else line[: characters - 1] + "…"


_COLUMNS = """
    select f.id, f.person_id, p.nickname, f.words, f.photos, f.filed_at, f.state, f.read_at, f.adoptions, f.adopted_at,
           f.adopted_by, f.outcome, f.thanked_at, f.answers, f.answered_at, f.answered_by, f.answer
      from feedback f join person p on p.id = f.person_id"""


def one(session: Session, number: int, *, lock: bool = False) -> FeedbackView:
    """Raises NotFound("feedback_unknown")."""
    row = session.execute(text(f"{_COLUMNS} where f.id = :id {'for update of f' if lock else ''}"),
                          {"id": min(number, 2**63 - 1)}).first()
    if row is None:
        raise NotFound("feedback_unknown", number=number)
    return FeedbackView(**row._mapping)


def listed(session: Session, state: str = "", person_id: int | None = None, limit: int = 100) -> list[FeedbackView]:
    """The newest first; of one state, of one person, or all."""
    rows = session.execute(text(f"""{_COLUMNS}
         where (:state = '' or f.state = :state) and (cast(:person as bigint) is null or f.person_id = :person)
         order by f.id desc limit :limit"""), {"state": state, "person": person_id, "limit": limit})
    return [FeedbackView(**row._mapping) for row in rows]
