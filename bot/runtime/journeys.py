"""The shipped journeys (assets/journeys) and the words that journeys may use in this house."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from bot.runtime.findings import Finding
from bot.runtime.voice import Voice
from domain.journeys import queries
from domain.journeys import service as journeys
from domain.journeys.checking import Vocabulary
from domain.journeys.document import Journey
from domain.journeys.reading import load
from domain.journeys.writing import checksum
from handlers.jobs import JOBS

FOLDER = Path(__file__).parents[2] / "assets" / "journeys"


def vocabulary(voice: Voice) -> Vocabulary:
    """The texts of the shop, and what its workers can draw and give."""
    return Vocabulary(voice.keys(), _kinds("picture."), _kinds("grant."), voice.maybe())


def _kinds(prefix: str) -> frozenset[str]:
    return frozenset(kind.removeprefix(prefix) for kind in JOBS.kinds() if kind.startswith(prefix))


def shipped(folder: Path = FOLDER) -> list[Journey]:
    """Every journey of the folder. Raises JourneyFaults for the first file that cannot be read."""
    return [load(path) for path in sorted(folder.glob("*.toml"))]


def newer(session: Session, folder: Path = FOLDER) -> list[Journey]:
    """Shipped journeys that are known here, but never in the edition that is shipped now; none that is archived."""
    found = shipped(folder)
    fresh = queries.without_edition(session, {one.key: checksum(one) for one in found})
    return [one for one in found if one.key in fresh]


def upgrades(session: Session) -> list[Finding]:
    """What the doctor says of them."""
    keys = [one.key for one in newer(session)]
    if not keys:
        return []
    return [Finding("journeys", "yellow", f"shipped editions are newer than any that was published here: "
                    f"{', '.join(keys)}", "python -m bot journey upgrade KEY --dry-run --as NAME shows what differs")]


def install(session: Session, wanted: Iterable[Journey], voice: Voice, now: datetime, *, live: bool,
            actor: str = "huitou") -> None:
    """Bring journeys into the house: running, or as drafts that somebody publishes. Those that are known stay as they
    are: their editions are the operators' business."""
    known = journeys.known(session)
    for journey in wanted:
        if journey.key not in known:
            journeys.publish(session, journey, vocabulary(voice), actor, now, live=live)
