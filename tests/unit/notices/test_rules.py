"""May this notice leave now? The policy against a slow, separate reading of the same manners."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from domain.notices.rules import PURPOSES, Facts, Policy, end_of_quiet, judge
from domain.shared.clock import SHANGHAI

POLICY = Policy()
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
LATE = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
zones = st.sampled_from([SHANGHAI, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")])


def facts(**changes: object) -> Facts:
    given: dict[str, object] = {"purpose": "money", "now": NOON, "zone": SHANGHAI, "expires_at": None,
                                "reachable": True, "consented": True, "last_heard_at": None}
    return Facts(**(given | changes))  # type: ignore[arg-type]


def test_the_edges_of_the_quiet_hours() -> None:
    def at(clock: str) -> datetime | None:
        hour, minute = map(int, clock.split(":"))
        return end_of_quiet(datetime(2026, 11, 20, hour, minute, tzinfo=SHANGHAI), SHANGHAI, POLICY)

    assert at("21:29") is None
    assert at("08:30") is None
    assert at("21:30") == datetime(2026, 11, 21, 8, 30, tzinfo=SHANGHAI)
    assert at("08:29") == datetime(2026, 11, 20, 8, 30, tzinfo=SHANGHAI)


@given(instants, zones)
def test_a_held_notice_is_due_at_the_first_minute_that_is_not_quiet(now: datetime, zone: ZoneInfo) -> None:
    end = end_of_quiet(now, zone, POLICY)
    local = now.astimezone(zone).time()
    assert (end is None) == (time(8, 30) <= local < time(21, 30))
    if end is not None:
        assert now < end <= now + timedelta(hours=14)
        assert end_of_quiet(end, zone, POLICY) is None
        assert end.astimezone(zone).time() == time(8, 30)


@given(st.sampled_from(PURPOSES), instants, st.booleans(), st.booleans(),
       st.one_of(st.none(), st.integers(0, 120)), st.integers(0, 5), st.integers(0, 5), st.integers(-5, 5))
def test_the_verdict_is_what_a_careful_person_would_say(
    purpose: str, now: datetime, reachable: bool, consented: bool, heard: int | None, today: int, week: int, life: int
) -> None:
    week = max(week, today)
    verdict = judge(facts(purpose=purpose, now=now, reachable=reachable, consented=consented, sent_today=today,
                          sent_this_week=week, expires_at=now + timedelta(minutes=life) if life else None,
                          last_heard_at=None if heard is None else now - timedelta(minutes=heard)), POLICY)
    quiet = not time(8, 30) <= now.astimezone(SHANGHAI).time() < time(21, 30)
    awake = heard is not None and heard <= 30
    if life < 0:
        assert verdict.reason == "expired"
    elif not reachable:
        assert verdict.reason == "unfollowed"
    elif purpose == "answer":
        assert verdict.what == "send"
    elif not consented:
        assert verdict.reason == "no_consent"
    elif quiet and not awake:
        assert (verdict.what, verdict.reason) == ("hold", "quiet_hours")
    elif purpose == "marketing" and (today >= 1 or week >= 3):
        assert (verdict.what, verdict.reason) == ("refuse", "week_cap" if week >= 3 else "day_cap")
    else:
        assert verdict.what == "send"
    assert (verdict.reason == "") == (verdict.what == "send")


def test_an_answer_is_never_held_even_at_night_and_without_consent() -> None:
    assert judge(facts(purpose="answer", now=LATE, consented=False), POLICY).what == "send"


def test_money_is_never_capped() -> None:
    assert judge(facts(sent_today=50, sent_this_week=500), POLICY).what == "send"
