"""Whoever says something is answered at once, and whoever asks for a picture gets it. Reads the phones only."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.runtime.replay.auditor import Finding
from bot.runtime.replay.phones import Line

PROMISES = ("正在生成", "正在为您生成", "正在为您制作", "恢复后就给您送到")
SORRY = ("没能发出去", "没能生成", "没有生成好")
"""What is said instead of the picture."""
ENDS = ("picture", "left", "lost")
PICTURE = "[image]"
"""An answer that is a picture itself."""
PATIENCE = timedelta(days=2)
"""A day whose quota is used up, and the night after it."""


def audit_answers(log: Iterable[Line], until: datetime) -> list[Finding]:
    """Words without an answer, and pictures that were promised and did not come."""
    phones: dict[str, list[Line]] = defaultdict(list)
    for line in log:
        phones[line.openid].append(line)
    return [found for lines in phones.values() for found in (*_unanswered(lines), *_without_picture(lines, until))]


def _unanswered(lines: Sequence[Line]) -> Iterable[Finding]:
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        if line.what == "said" and (after is None or after.what != "reply" or after.at != line.at):
            yield Finding("no answer", line.at, line.openid, "said", line.content)


def _without_picture(lines: Sequence[Line], until: datetime) -> Iterable[Finding]:
    for place, line in enumerate(lines):
        if line.what != "reply" or not any(words in line.content for words in PROMISES):
            continue
        later = [one for one in lines[place + 1:] if one.at <= line.at + PATIENCE]
        ended = any(one.what in ENDS or one.content == PICTURE or any(words in one.content for words in SORRY)
                    for one in later)
        if not ended and line.at + PATIENCE <= until:
            yield Finding("a picture that never came", line.at, line.openid, "reply", line.content)
