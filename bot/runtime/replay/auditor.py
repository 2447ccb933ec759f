"""An auditor who reads the phones and nothing else: what people did, what reached them, and when.

The rules are computed anew from the log, with no look at the shop's tables or at its policy code: quiet hours, caps
over everything for marketing, consent, the same words twice, what is promised only once, and the platform's rights.
What a text is for is known by comparing it with the shop's copy and the files of its journeys.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Any

from jinja2 import Environment, nodes

from bot.runtime.replay.phones import ACTS, BUSY, CARDS, GONE, PUSHES, QUOTA, Line
from domain.shared.clock import SHANGHAI
from domain.shared.records import record

_JINJA = Environment(autoescape=True)  # only parses
_SPACE = re.compile(r"\s+")
DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
STOP, LESS, RESUME = "退订", "少发点", "恢复"
"""The words that the people of a rehearsal use."""
PROMPT = timedelta(minutes=30)
"""What comes so soon after somebody's act may be its answer."""

SAME_FACT = timedelta(minutes=10)
"""What a journey says need not be heard twice in a day; other news that sound the same may be of two orders, but hardly
of the same minutes. What names its order is never said again."""
NAMES_AN_ORDER, EVER = re.compile(r"R\d{5}"), timedelta.max
"""The numbers of a rehearsal's orders."""

CARD_PURPOSES = {"earned": "money", "withdrawal": "money", "restock": "marketing"}
"""What the shop's cards are for, by the template's name; the others are service."""
SORRY = "系统打了个盹"
"""What the shop says when it could not answer."""

ONCE: Mapping[str, timedelta | None] = {
    "journey.welcome.guide": None, "journey.welcome.coupon": None, "journey.friends.three": None,
    "journey.friends.five": None, "journey.second_order.gift": None, "journey.second_order.remind": None,
    "journey.birthday.greeting": timedelta(days=364), "journey.recall.missed": timedelta(days=89),
    "journey.regular.thanks": timedelta(days=59), "journey.year_top.invitation": timedelta(days=300),
    "journey.star.card": timedelta(days=20), "journey.at_risk.silent": timedelta(days=29),
    "journey.at_risk.less": timedelta(days=29),
}
"""What each journey promises in its own words: never again (None), or not within so long."""


@record
class Manners:
    """The shop's promises, as numbers (assets/notices.toml)."""

    quiet_from: time
    quiet_until: time
    awake_minutes: int
    per_day: int
    per_week: int
    per_month: int
    tired_after: int

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Manners":
        return cls(raw["quiet_from"], raw["quiet_until"], raw["awake_minutes"], raw["marketing_per_day"],
                   raw["marketing_per_week"], raw["marketing_per_month"], raw["tired_after"])


class Texts:
    """Which text of the copy a message is, and what for: ``purposes`` of the journeys' texts, by key."""

    def __init__(self, written: Mapping[str, str], purposes: Mapping[str, str]) -> None:
        self._purposes = dict(purposes)
        keys = sorted((key for key in written if key in purposes or key.startswith(("money.", "payout.told."))),
                      key=lambda key: (-_fixed(_JINJA.parse(written[key])), key))
        self._patterns = [(key, _pattern(written[key])) for key in keys]
        self._known: dict[str, tuple[str, str]] = {}

    def meaning(self, line: Line) -> tuple[str, str]:
        """(key, purpose). Pictures have the key 'picture', cards 'card.' and the template's name; what neither a
        journey nor money says is 'other'."""
        if line.what == "picture":
            return "picture", "service"
        if line.what in CARDS:
            name = line.content.partition(" ")[0]
            return f"card.{name}", CARD_PURPOSES.get(name, "service")
        if line.content not in self._known:
            said = _SPACE.sub("", line.content)
            key = next((key for key, wanted in self._patterns if wanted.fullmatch(said)), "other")
            self._known[line.content] = (key, self._purposes.get(key, "money" if key.startswith(("money.", "payout."))
                                                                 else "service"))
        return self._known[line.content]


def _fixed(template: nodes.Node) -> int:
    """How many letters of a template stand there as they are: of two that may have said something, the one that says
    more of it by itself is meant."""
    return sum(len(_SPACE.sub("", part.data)) for part in template.find_all(nodes.TemplateData))


def _pattern(written: str) -> "re.Pattern[str]":
    """What a template can say, without its white space: any placeholder is anything, each way of a choice may come."""
    return re.compile(_shape(_JINJA.parse(written).body), re.S)


def _shape(parts: Sequence[nodes.Node]) -> str:
    made = ""
    for part in parts:
        match part:
            case nodes.TemplateData():
                made += re.escape(_SPACE.sub("", part.data))
            case nodes.Output():
                made += _shape(part.nodes)
            case nodes.If():
                ways = [_shape(part.body), *(_shape(one.body) for one in part.elif_), _shape(part.else_)]
                made += f"(?:{'|'.join(ways)})"
            case nodes.For():
                made += f"(?:{_shape(part.body)})*"
            case _:
                made += ".*?"
    return made


@record
class Finding:
    """A promise that was broken: which, to whom, when, by what message."""

    rule: str
    at: datetime
    openid: str
    key: str
    said: str


@dataclass
class Phone:
    """One phone's log, oldest first, with what is asked of it over and over."""

    lines: list[Line]
    texts: Texts
    marketing: list[datetime] = field(default_factory=list)

    @cached_property
    def acts(self) -> list[datetime]:
        return [line.at for line in self.lines if line.what in ACTS]

    def acted_before(self, at: datetime) -> datetime | None:
        place = bisect_right(self.acts, at)
        return self.acts[place - 1] if place else None

    def sent_since(self, at: datetime) -> int:
        """Messages for marketing after ``at`` so far."""
        return len(self.marketing) - bisect_right(self.marketing, at)

    def sent_from(self, at: datetime) -> int:
        return len(self.marketing) - bisect_left(self.marketing, at)


def audit(log: Iterable[Line], texts: Texts, manners: Manners) -> list[Finding]:
    """Everything in the log that breaks a promise. [] is what a shop wants to see."""
    phones: dict[str, list[Line]] = defaultdict(list)
    for line in log:
        phones[line.openid].append(line)
    found = [one for lines in phones.values() for one in _phone(Phone(lines, texts), manners)]
    return sorted(found, key=lambda one: (one.at, one.openid))


def _phone(phone: Phone, manners: Manners) -> Iterable[Finding]:
    said: dict[str, datetime] = {}
    once: dict[str, datetime] = {}
    wishes, rights = _Wishes(), _Rights()
    for line in phone.lines:
        wishes.hear(line)
        broken = rights.hear(line)
        if line.what in PUSHES:
            key, purpose = phone.texts.meaning(line)
            rules = [broken, *_night(phone, line, manners), *_wish(phone, line, purpose, wishes),
                     *_repeats(line, key, said, once)]
            if purpose == "marketing":
                rules += _caps(phone, line.at, manners, wishes.less)
                phone.marketing.append(line.at)
        elif line.what == "refused" and line.code not in (BUSY, QUOTA):
            rules = ["wrote to who does not follow" if line.code == GONE else "asked without a right"]
            key = phone.texts.meaning(line)[0]
        elif line.what == "reply" and SORRY in line.content:
            key, rules = "reply", ["an answer failed"]
        else:
            continue
        yield from (Finding(rule, line.at, line.openid, key, line.content) for rule in rules if rule)


def _night(phone: Phone, line: Line, manners: Manners) -> Iterable[str]:
    local = line.at.astimezone(SHANGHAI).time()
    acted = phone.acted_before(line.at)
    awake = acted is not None and line.at - acted <= timedelta(minutes=manners.awake_minutes)
    if (local >= manners.quiet_from or local < manners.quiet_until) and not awake:
        yield "quiet hours"


def _caps(phone: Phone, at: datetime, manners: Manners, less: bool) -> Iterable[str]:
    """One more at ``at``: over a cap? Who wants less, or was silent for so many, gets half."""
    acted = phone.acted_before(at) or datetime.min.replace(tzinfo=at.tzinfo)
    tired = phone.sent_since(max(acted, at - MONTH)) >= manners.tired_after
    week, month = ((max(1, manners.per_week // 2), max(1, manners.per_month // 2)) if less or tired
                   else (manners.per_week, manners.per_month))
    today = at.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    counted = ((phone.sent_from(today), manners.per_day, "day cap"), (phone.sent_since(at - WEEK), week, "week cap"),
               (phone.sent_since(at - MONTH), month, "month cap"))
    return [name for sent, cap, name in counted if sent >= cap]


def _wish(phone: Phone, line: Line, purpose: str, wishes: "_Wishes") -> Iterable[str]:
    acted = phone.acted_before(line.at)
    asked = acted is not None and line.at - acted <= PROMPT and purpose != "marketing"
    if wishes.none and not asked:
        yield "after 退订"
    elif wishes.no_marketing and purpose == "marketing":
        yield "after 少发点 twice"


def _repeats(line: Line, key: str, said: dict[str, datetime], once: dict[str, datetime]) -> Iterable[str]:
    near = EVER if NAMES_AN_ORDER.search(line.content) else DAY if key.startswith("journey.") else SAME_FACT
    if line.content in said and line.at - said[line.content] < near and line.what != "picture":
        yield "said twice"
    said[line.content] = line.at
    if key in ONCE:
        rest = ONCE[key]
        if key in once and (rest is None or line.at - once[key] < rest):
            yield "promised once"
        once[key] = line.at


@dataclass
class _Wishes:
    """What somebody asked for in words. Leaving changes no wish."""

    none: bool = False
    less: bool = False
    no_marketing: bool = False

    def hear(self, line: Line) -> None:
        if line.what != "said":
            return
        if line.content == STOP:
            self.none = True
        elif line.content == LESS:
            self.no_marketing, self.less = self.less or self.no_marketing, True
        elif line.content == RESUME:
            self.none = self.less = self.no_marketing = False


@dataclass
class _Rights:
    """What the platform allows, from what somebody did."""

    follows: bool = False
    message: int = 0
    message_until: datetime | None = None
    tap: int = 0
    tap_until: datetime | None = None
    allowed: Counter[str] = field(default_factory=Counter)

    def hear(self, line: Line) -> str:
        """What a push broke, or ''."""
        if line.what == "left":
            self.follows, self.message, self.tap = False, 0, 0
        elif line.what == "said":
            self.message, self.message_until = 5, line.at + timedelta(hours=48)
        elif line.what in ACTS:
            self.follows |= line.what == "followed"
            self.tap, self.tap_until = 3, line.at + timedelta(minutes=1)
        elif line.what == "allowed":
            self.allowed[line.content] += 1
        elif line.what in CARDS:
            return self._card(line)
        elif line.what in PUSHES:
            return self._use(line.at)
        return ""

    def _card(self, line: Line) -> str:
        """A template needs a follower and may sell nothing; a subscription needs a yes of its own."""
        name = line.content.partition(" ")[0]
        if not self.follows:
            return "left before"
        if line.what == "template":
            return "a template that sells" if CARD_PURPOSES.get(name) == "marketing" else ""
        self.allowed[name] -= 1
        return "without a permission" if self.allowed[name] < 0 else ""

    def _use(self, at: datetime) -> str:
        if not self.follows:
            return "left before"
        if self.tap and self.tap_until and at < self.tap_until:
            self.tap -= 1
        elif self.message and self.message_until and at < self.message_until:
            self.message -= 1
        else:
            return "without a right"
        return ""
