"""The doctor on cards: each template of the accounts against what the platform has."""

from typing import Any

import pytest

from bot.kit.gateway import GatewayError, Outcome, SendResult
from bot.runtime import cards
from bot.runtime.bootstrap import ASSETS
from bot.runtime.findings import Finding
from domain.subscriptions.rules import Catalogue

GOOD = {"E1": "佣金:{{amount1.DATA}}\n商品:{{thing2.DATA}}\n状态:{{thing3.DATA}}"}


class Platform:
    """What the doctor asks of a gateway."""

    def __init__(self, there: dict[str, str] | int) -> None:
        self.there = there

    def templates(self) -> dict[str, str]:
        if isinstance(self.there, int):
            raise GatewayError(SendResult(Outcome.CONFIG, self.there))
        return self.there


def found(there: dict[str, str] | int, *, service: bool = True, ids: dict[str, str] | None = None) -> list[Finding]:
    table = Catalogue.load((ASSETS / "notice_templates.toml").read_text("utf-8"))
    known = table.at({"main": {"template": {"earned": "E1"} if ids is None else ids}}, ["main"] if service else [])
    peer: Any = Platform(there)
    return list(cards.findings(known, "main", peer))


@pytest.mark.parametrize(("there", "state", "word"), [
    (GOOD, "green", "1 templates"),
    ({"E2": GOOD["E1"]}, "red", "no template of that id"),
    ({"E1": "佣金:{{amount1.DATA}}\n{{thing4.DATA}}"}, "red", "amount1, thing4"),
    (48001, "yellow", "48001"),
])
def test_what_the_platform_has_is_compared(there: dict[str, str] | int, state: str, word: str) -> None:
    (one,) = found(there)
    assert (one.state, word in one.cause) == (state, True)
    assert one.remedy or state == "green"


def test_an_account_that_may_not_send_cards_is_told_so() -> None:
    assert [one.state for one in found(GOOD, service=False)] == ["red"]
    assert found(GOOD, ids={}) == []
