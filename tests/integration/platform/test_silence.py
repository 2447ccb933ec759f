"""Whether an account can speak just now, as its holds say it: asked before anything is promised."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.platform import service as platform
from domain.platform import silence

APP = "wx1"


def hold(session: Session, api: str, seconds: float = 300, app: str = APP) -> None:
    """``api`` is not to be called for so long, by the database's own clock as the gateways see it."""
    platform.hold_back(session, app, api, "back_off", 45009, "", datetime.now(UTC) + timedelta(seconds=seconds))


def token(session: Session, seconds: float) -> None:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    session.execute(text("insert into platform_token (app_id, sealed, fresh_until, expires_at)"
                         " values (:app, '', :at, :at)"), {"app": APP, "at": until})


def test_nothing_is_known_against_a_new_account(session: Session) -> None:
    assert silence.of(session, APP) == ""


@pytest.mark.parametrize(("apis", "what"), [
    (["message/custom/send"], "sends"), ([silence.SEND_ALARM], "sends"), (["media/upload"], "all"),
    ([silence.ALARM], "all"), (["qrcode/create"], "all"), (["*"], "all"),
    (["message/custom/send", "media/upload"], "all"), (["menu/create", "message/template/send"], ""),
])
def test_what_is_held_says_what_can_be_promised(session: Session, apis: list[str], what: str) -> None:
    for api in apis:
        hold(session, api)
    assert silence.of(session, APP) == what


def test_what_is_over_in_a_moment_or_meets_another_app_is_no_silence(session: Session) -> None:
    hold(session, "media/upload", seconds=8)
    hold(session, "message/custom/send", seconds=-60)
    hold(session, "*", app="wx2")
    assert silence.of(session, APP) == ""


@pytest.mark.parametrize(("valid_seconds", "what"), [(None, "all"), (-60, "all"), (600, "")])
def test_no_new_token_is_silence_once_the_one_there_has_run_out(
    session: Session, valid_seconds: float | None, what: str
) -> None:
    hold(session, "stable_token")
    if valid_seconds is not None:
        token(session, valid_seconds)
    assert silence.of(session, APP) == what
