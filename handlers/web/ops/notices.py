"""Notices through the API: why somebody heard something or not, and the switch that stops a purpose for everybody."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.journeys.ways import Platform
from domain.notices import backpressure, queries, service
from domain.notices.rules import Policy
from domain.platform.budgets import used
from domain.stafftasks.rules import StaffWay
from domain.workflows import noticing
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import PersonId
from handlers.web.ops.context import NO_SUCH, Asked, OpsOperation, shaped
from handlers.web.ops.journeys import Counts
from handlers.web.ops.roles import known


class PurposeNow(Struct):
    """What a notice without an expiry would be told now."""

    what: Literal["send", "hold", "refuse"]
    reason: str
    at: Annotated[datetime | None, Meta(description="Until when it would be held.")]
    because: Annotated[str, Meta(description="The facts behind it.")]


class OpenWays(Struct):
    """Of one account that the person follows."""

    window: Annotated[int, Meta(description="Customer messages left in open windows.")]
    allowed: Annotated[Counts, Meta(description="Subscription notices that they allowed, by template.")]
    templates: list[str]


class NoticeLine(Struct):
    """One notice and what became of it."""

    effect_id: int
    purpose: str | None
    key: str
    state: str
    reason: str
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    way: str
    ways: Annotated[dict[str, str], Meta(description="Why the others were not taken.")]
    reported: Annotated[str, Meta(description="What the platform told later.")]


class ConsentWord(Struct):
    """One word on consent."""

    purpose: str
    given: bool
    source: str
    at: datetime


class StaffTask(Struct):
    """What an employee was asked to send and has not."""

    id: int
    purpose: str
    state: str
    said: str
    created_at: datetime
    expires_at: datetime
    asked_at: datetime | None
    reminded_at: datetime | None


class ThroughStaff(Struct):
    """The way through an employee in WeCom."""

    account: str
    userid: str
    had: Annotated[int, Meta(description="Messages of employees this month, with those that wait.")]
    monthly: Annotated[int, Meta(description="As many as they may get.")]
    tasks: Annotated[list[StaffTask], Meta(description="Those that hold something for them.")]


class NoticesExplained(Struct):
    """Everything about what one person is told."""

    person_id: PersonId
    now: Annotated[dict[str, PurposeNow], Meta(description="By purpose.")]
    ways: Annotated[dict[str, OpenWays], Meta(description="By account.")]
    notices: Annotated[list[NoticeLine], Meta(description="The newest first.")]
    consent: Annotated[list[ConsentWord], Meta(description="The oldest first.")]
    staff: Annotated[ThroughStaff | None, Meta(description="null: no employee has them, or this way is not used.")]


class SwitchedOff(Struct):
    """A purpose that is off for everybody."""

    purpose: str
    stopped_at: datetime
    stopped_by: str
    why: str


class InterfaceUse(Struct):
    """What an interface of the platform was used for today."""

    app_id: str
    api: str
    used: int
    per_day: int | None
    for_marketing: int | None
    marketing_until: Annotated[datetime | None, Meta(description="Closed for marketing until then.")]


class NoticeStatus(Struct):
    """How messages are doing."""

    off: list[SwitchedOff]
    late_seconds: Annotated[int, Meta(description="How long the longest waiting message is overdue.")]
    marketing_claimed: Annotated[bool, Meta(description="false: marketing waits while more urgent messages are late.")]
    service_claimed: bool
    interfaces: list[InterfaceUse]


class NoticeSwitch(Struct):
    """Which purpose; the reason is kept, for whoever asks later."""

    purpose: Literal["money", "service", "marketing"]
    why: Annotated[str, Meta(min_length=1, max_length=1000)]


class NoticeSwitchOn(Struct):
    """Which purpose."""

    purpose: Literal["money", "service", "marketing"]


class NoticeSwitched(Struct):
    """How it stands now."""

    purpose: str
    on: bool


def explain(asked: Asked) -> NoticesExplained:
    person = known(asked)
    found = noticing.explain(asked.session, person.id, asked.tool(Policy), asked.tool(Platform), asked.now,
                             asked.number("limit", 20, 1_000), asked.tool(StaffWay))
    return NoticesExplained(
        person.id, msgspec.convert(found.now, dict[str, PurposeNow], from_attributes=True),
        msgspec.convert(found.ways, dict[str, OpenWays], from_attributes=True),
        msgspec.convert(found.notices, list[NoticeLine], from_attributes=True),
        msgspec.convert(found.consent, list[ConsentWord]),
        msgspec.convert(found.staff, ThroughStaff | None, from_attributes=True))


def status(asked: Asked) -> NoticeStatus:
    late, limits = backpressure.late(asked.session, asked.now), asked.tool(Platform).budgets.by_api
    uses = []
    for one in used(asked.session, asked.now):
        most = limits.get(one.api)
        uses.append(InterfaceUse(one.app_id, one.api, one.used, most.per_day if most else None,
                                 most.marketing_share if most else None, one.marketing_until))
    return NoticeStatus(
        msgspec.convert(queries.switched_off(asked.session), list[SwitchedOff], from_attributes=True),
        int(late.any.total_seconds()), late.any <= backpressure.MARKETING_STOPS,
        late.money <= backpressure.ALL_BUT_MONEY, uses)


def off(asked: Asked) -> NoticeSwitched:
    service.switch_off(asked.session, asked.body.purpose, asked.actor, asked.body.why, asked.now)
    return NoticeSwitched(asked.body.purpose, False)


def on(asked: Asked) -> NoticeSwitched:
    if service.switch_on(asked.session, asked.body.purpose, asked.actor, asked.now):
        asked.context.ring(frozenset({"notice"}))
    return NoticeSwitched(asked.body.purpose, True)


OPERATIONS = (
    OpsOperation("GET", "/notices/people/<int:person_id>", "explainNotices", "Notices", "Why somebody hears something",
                 "What the policy would answer now and why, the ways that are open, what became of their newest "
                 "notices, and every word on consent.", NoticesExplained, explain,
                 places=(("person_id", "The person's id."),), refusals=(NO_SUCH,),
                 query=(Parameter("limit", "So many notices; 20 if not given."),)),
    OpsOperation("GET", "/notices/status", "getNoticeStatus", "Notices", "How messages are doing",
                 "What is switched off, how late messages are, what each interface was used for today.", NoticeStatus,
                 status),
    OpsOperation("POST", "/notices/off", "switchNoticesOff", "Notices", "Stop a purpose for everybody",
                 "At once. What is still worth sending later waits; answers still leave.", NoticeSwitched, off,
                 body=(NoticeSwitch,), read_body=shaped(NoticeSwitch)),
    OpsOperation("POST", "/notices/on", "switchNoticesOn", "Notices", "Let a purpose leave again",
                 "Those that waited too.", NoticeSwitched, on, body=(NoticeSwitchOn,),
                 read_body=shaped(NoticeSwitchOn)),
)
