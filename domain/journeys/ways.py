"""By which way the messages of a simulation would have left: windows that people opened, permissions they gave,
templates, and the day's budget. In memory; reads the past, writes nothing.

The windows and permissions are the real ones of that time, as if this journey alone had used them. A message without a
way waits for the person's next word, as a real one does; one for marketing does not.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys import history
from domain.notices.rules import Purpose
from domain.platform.budgets import Budgets
from domain.platform.service import MESSAGE_RIGHTS, MESSAGE_WINDOW
from domain.shared.clock import business_date, day_starts
from domain.shared.money import BPS
from domain.shared.records import record
from domain.subscriptions.rules import Catalogue, Channel

KEPT_BACK = 1
"""The last right of a window is for what the person asks for; nothing unasked takes it."""
API: Mapping[Channel, str] = {"custom": "message/custom/send", "template": "message/template/send",
                              "subscription": "message/subscribe/bizsend"}
NO_RIGHT, OVER_BUDGET = "no_right", "budget"
ONLY_WINDOWS: tuple[Channel, ...] = ("custom",)


@record
class Platform:
    """What the shop has outside: cards, limits by interface, and its Official Accounts (name → app id)."""

    catalogue: Catalogue = field(default_factory=lambda: Catalogue({}, {}, {}))
    budgets: Budgets = field(default_factory=lambda: Budgets({}))
    app_ids: Mapping[str, str] = field(default_factory=dict)


@record
class Answer:
    """``way``: left by it. Otherwise ``reason``, and ``again``: when it may be tried again (None: no use)."""

    way: Channel | None = None
    reason: str = ""
    again: datetime | None = None


_ACCOUNTS = text("""
    select person_id, scope as app_id from identity where person_id = any(:people) and kind = 'openid'
     order by followed_at desc nulls last
""")
_TOKENS = text("""
    select i.person_id, t.template_id, t.granted_at from subscription_token t
      join identity i on i.kind = 'openid' and i.value = t.openid and i.scope = any(:apps)
     where i.person_id = any(:people) and t.granted_at <= :until
       and (t.spent_at is null or t.spent_at >= :since) and (t.lost_at is null or t.lost_at >= :since)
     order by t.granted_at
""")


class Ways:
    """The ways of ``people`` from ``since`` to ``until``. ``everybody``: how many people they stand for."""

    def __init__(self, session: Session, platform: Platform, people: Sequence[int], everybody: int, since: datetime,
                 until: datetime) -> None:
        self._platform, self._share = platform, max(1.0, everybody / max(1, len(people)))
        self._wrote = history.wrote(session, people, since - MESSAGE_WINDOW, until)
        self._used: dict[tuple[int, datetime], int] = defaultdict(int)
        names = {app_id: name for name, app_id in platform.app_ids.items()}
        rows = session.execute(_ACCOUNTS, {"people": list(people)})
        self._account = {row.person_id: names[row.app_id] for row in rows if row.app_id in names}
        self._tokens: dict[tuple[int, str], list[datetime]] = defaultdict(list)
        for row in session.execute(_TOKENS, {"people": list(people), "apps": list(names), "since": since,
                                             "until": until}):
            self._tokens[row.person_id, row.template_id].append(row.granted_at)
        self.sent: Counter[tuple[Channel, date]] = Counter()

    def leave(self, person_id: int, key: str, purpose: Purpose, at: datetime) -> Answer:
        """The first way that is open at ``at``; what it takes is taken."""
        again: datetime | None = None
        for way in self._platform.catalogue.order.get(purpose, ONLY_WINDOWS):
            if not self._open(way, person_id, key, purpose, at):
                continue
            if self._full(way, purpose, at):
                again = day_starts(business_date(at) + timedelta(days=1))
                continue
            self._take(way, person_id, key, at)
            return Answer(way)
        if again is not None:
            return Answer(reason=OVER_BUDGET, again=again)
        if purpose == "marketing":
            return Answer(reason=NO_RIGHT)
        wrote = self._wrote.get(person_id, [])
        place = bisect_right(wrote, at)
        return Answer(reason=NO_RIGHT, again=wrote[place] if place < len(wrote) else None)

    def busiest_share(self) -> int | None:
        """On the busiest day, had it been everybody: of what marketing may use of its way, in basis points."""
        shares = [round(number * self._share * BPS / limits.marketing_share) for (way, _), number in self.sent.items()
                  if (limits := self._platform.budgets.by_api.get(API[way])) is not None and limits.marketing_share]
        return max(shares, default=None)

    def _open(self, way: Channel, person_id: int, key: str, purpose: Purpose, at: datetime) -> bool:
        if way == "custom":
            last = self._window(person_id, at)
            return last is not None and self._used[person_id, last] < MESSAGE_RIGHTS - KEPT_BACK
        if way == "staff":  # whether an employee would have tapped, nobody can say
            return False
        account, catalogue = self._account.get(person_id, ""), self._platform.catalogue
        if not account or catalogue.objection(way, account, key, purpose):
            return False
        return way == "template" or bool(self._token(person_id, catalogue.id_of(way, account, key), at))

    def _window(self, person_id: int, at: datetime) -> datetime | None:
        """When the person wrote last, if that still allows an answer."""
        wrote = self._wrote.get(person_id, [])
        place = bisect_right(wrote, at)
        last = wrote[place - 1] if place else None
        return last if last is not None and at < last + MESSAGE_WINDOW else None

    def _token(self, person_id: int, template_id: str, at: datetime) -> list[datetime]:
        """The permissions of one template that were given by then; the oldest is spent first."""
        given = self._tokens.get((person_id, template_id), [])
        return given if given and bisect_left(given, at) else []

    def _full(self, way: Channel, purpose: Purpose, at: datetime) -> bool:
        limits = self._platform.budgets.by_api.get(API[way])
        most = None if limits is None else limits.marketing_share if purpose == "marketing" else limits.per_day
        return most is not None and (self.sent[way, business_date(at)] + 1) * self._share > most

    def _take(self, way: Channel, person_id: int, key: str, at: datetime) -> None:
        self.sent[way, business_date(at)] += 1
        if way == "custom":
            last = self._window(person_id, at)
            assert last is not None
            self._used[person_id, last] += 1
        elif way == "subscription":
            account = self._account[person_id]
            self._token(person_id, self._platform.catalogue.id_of(way, account, key), at).pop(0)
