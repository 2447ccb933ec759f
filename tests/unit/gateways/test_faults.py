"""Error codes become outcomes with one remedy; nothing of errmsg is believed but the request id and our address."""

from datetime import UTC, datetime

import pytest

from bot.kit.gateway import Outcome
from bot.runtime.gateways.faults import Fault, Kind, from_errcode, from_status, judge

NOON = datetime(2026, 11, 20, 4, 30, 15, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("errcode", "outcome"),
    [
        (45015, Outcome.WINDOW_CLOSED),
        (45047, Outcome.QUOTA_USED),
        (43004, Outcome.UNFOLLOWED),
        (40003, Outcome.UNFOLLOWED),
        (48002, Outcome.MUTED),
        (-1, Outcome.BACK_OFF),
        (45009, Outcome.BACK_OFF),
        (45011, Outcome.BACK_OFF),
        (40001, Outcome.CONFIG),
        (40014, Outcome.CONFIG),
        (42001, Outcome.CONFIG),
        (41001, Outcome.CONFIG),
        (40164, Outcome.CONFIG),
        (40243, Outcome.CONFIG),
        (40013, Outcome.CONFIG),
        (40125, Outcome.CONFIG),
        (48001, Outcome.CONFIG),
        (48004, Outcome.CONFIG),
        (50002, Outcome.CONFIG),
        (45002, Outcome.REJECTED),
        (45008, Outcome.REJECTED),
        (40007, Outcome.REJECTED),
        (47003, Outcome.REJECTED),
        (99999, Outcome.REJECTED),
    ],
)
def test_every_code_has_its_outcome(errcode: int, outcome: Outcome) -> None:
    result = judge(from_errcode(errcode, "whatever"), sends=True, now=NOON).result
    assert (result.outcome, result.errcode, result.retry_at is not None) == (
        outcome,
        errcode,
        outcome is Outcome.BACK_OFF,
    )


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        (NOON, datetime(2026, 11, 20, 16, 0, tzinfo=UTC)),
        (datetime(2026, 11, 20, 15, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 11, 20, 16, 0, tzinfo=UTC)),
        (datetime(2026, 11, 20, 16, 0, tzinfo=UTC), datetime(2026, 11, 21, 16, 0, tzinfo=UTC)),
    ],
)
def test_the_daily_quota_comes_back_at_midnight_in_shanghai(now: datetime, midnight: datetime) -> None:
    assert judge(from_errcode(45009, ""), sends=True, now=now).result.retry_at == midnight


def test_the_minute_quota_comes_back_with_the_next_minute() -> None:
    retry_at = judge(from_errcode(45011, ""), sends=True, now=NOON).result.retry_at
    assert retry_at == datetime(2026, 11, 20, 4, 31, tzinfo=UTC)


def test_a_send_without_an_answer_is_unknown_and_any_other_call_may_be_repeated() -> None:
    lost = Fault(Kind.UNCERTAIN, detail="read timeout")
    assert judge(lost, sends=True, now=NOON).result.outcome is Outcome.UNKNOWN
    assert judge(lost, sends=False, now=NOON).result.outcome is Outcome.BACK_OFF


@pytest.mark.parametrize(
    ("status", "sent", "called"),
    [
        (500, Outcome.BACK_OFF, Outcome.BACK_OFF),
        (503, Outcome.BACK_OFF, Outcome.BACK_OFF),
        (429, Outcome.BACK_OFF, Outcome.BACK_OFF),
        (504, Outcome.UNKNOWN, Outcome.BACK_OFF),
        (404, Outcome.CONFIG, Outcome.CONFIG),
        (302, Outcome.CONFIG, Outcome.CONFIG),
    ],
)
def test_http_statuses(status: int, sent: Outcome, called: Outcome) -> None:
    fault = from_status(status)
    assert judge(fault, sends=True, now=NOON).result.outcome is sent
    assert judge(fault, sends=False, now=NOON).result.outcome is called


@pytest.mark.parametrize(
    ("errcode", "errmsg", "detail"),
    [
        (
            40164,
            "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 63f1a2b3-0c4d5e6f-11223344",
            "ip 203.0.113.9 rid 63f1a2b3-0c4d5e6f-11223344",
        ),
        (40164, "invalid ip 2001:db8::7, not in whitelist", "ip 2001:db8::7"),
        (40164, "invalid ip 999.1.1.1, not in whitelist", ""),
        (45015, "window closed 203.0.113.9 for oCANARY", ""),
        (40001, "access_token=CANARY appsecret CANARY rid: CANARY-CANARY", ""),
        (40001, None, ""),
        (40001, {"rid": "63f1a2b3-0c4d5e6f"}, ""),
        (47003, "x" * 5000 + " rid: 63f1a2b3-0c4d5e6f-11223344", ""),
    ],
)
def test_only_shapes_we_know_are_taken_from_errmsg(errcode: int, errmsg: object, detail: str) -> None:
    assert from_errcode(errcode, errmsg).detail == detail
