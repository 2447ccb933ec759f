"""Retries of what this process has just answered need no database."""

from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest

from bot.kit.messages import Incoming, text
from bot.kit.router import Router
from bot.runtime.dispatch import Account, Dispatcher
from bot.runtime.recent import Recent

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def said(number: int, account: str = "shop") -> Incoming:
    return Incoming("wechat", account, "oLi", "text", f"msg:{number}", NOW, "佣金")


def test_the_newest_are_kept_and_the_oldest_forgotten() -> None:
    recent = Recent(kept=2)
    for number in (1, 2, 3):
        recent.keep(said(number), text(f"answer {number}"))
    assert [recent.reply_to(said(n)) for n in (1, 2, 3)] == [None, text("answer 2"), text("answer 3")]


def test_the_same_number_on_another_account_is_another_message() -> None:
    recent = Recent()
    recent.keep(said(1), text("¥1"))
    assert recent.reply_to(said(1, "other")) is None


class Gone:
    """A database that nobody can reach."""

    def begin(self) -> NoReturn:
        raise ConnectionError("no database")


def test_a_retry_is_answered_while_the_database_is_gone() -> None:
    gone: Any = Gone()
    copy: Any = None
    shop: Any = None
    dispatcher = Dispatcher(gone, Router("none"), copy, lambda: NOW, lambda bells: None, {},
                            {"shop": Account("shop", "wx1", shop)}, {})
    dispatcher.recent.keep(said(1), text("¥1"))
    assert dispatcher.handle(said(1)) == text("¥1")
    with pytest.raises(ConnectionError):
        dispatcher.handle(said(2))
