"""The table of cards and the limits of their fields."""

import pytest

from bot.runtime.bootstrap import ASSETS
from bot.runtime.voice import Voice
from domain.subscriptions.rules import (
    KIND_NOT_ALLOWED,
    NO_TEMPLATE,
    NOT_SERVICE,
    BadCatalogue,
    Catalogue,
    Unfit,
    fit,
)


@pytest.mark.parametrize(("key", "given", "fitted"), [
    ("thing1", "有机大米", "有机大米"),
    ("thing1", "一二三四五六七八九十一二三四五六七八九十", "一二三四五六七八九十一二三四五六七八九十"),
    ("thing1", "一二三四五六七八九十一二三四五六七八九十多", "一二三四五六七八九十一二三四五六七八九…"),
    ("thing2", "换行\n也 不行", "换行 也 不行"),
    ("short_thing1", "一二三四五六七八九十多", "一二三四五六七八九…"),
    ("character_string3", "订单 A-1001！", "A-1001"),
    ("character_string3", "x" * 40, "x" * 32),
    ("amount1", "¥7.92", "¥7.92"),
    ("amount1", "¥1,280.50", "¥1280.50"),
    ("amount12", "9999999999元", "9999999999元"),
    ("number1", "1,200.5", "1200.5"),
    ("letter1", "SF-123", "SF"),
    ("symbol1", "a!?", "!?"),
    ("phrase2", "等待您的确认", "等待您的确"),
    ("name1", "李*姐", "李姐"),
    ("name1", "Alexander Maximilian the Great", "Alexander Maximilian"),
    ("phone_number1", "+86 138-0000-0000", "+86138-0000-0000"),
    ("car_number1", "云A12345", "云A12345"),
    ("date1", "2026年11月20日 10:00", "2026年11月20日 10:00"),
    ("time1", "15:01", "15:01"),
    ("date2", "2026-11-20~2026-11-22", "2026-11-20~2026-11-22"),
])
def test_what_can_be_made_to_fit_fits(key: str, given: str, fitted: str) -> None:
    assert fit(key, given) == fitted


@pytest.mark.parametrize(("key", "given"), [
    ("thing1", ""), ("thing1", " \n "), ("amount1", "很多"), ("amount1", "-¥3.00"), ("amount1", "12345678901"),
    ("amount1", "1.234"), ("character_string1", "中文"), ("number1", "七"), ("number1", "1" * 33), ("phrase1", "ok"),
    ("date1", "明天"), ("date1", ""), ("date1", "2026年11月20日~"), ("car_number1", "云A1234567"), ("name1", "***"),
])
def test_what_cannot_be_made_to_fit_is_said(key: str, given: str) -> None:
    with pytest.raises(Unfit, match=key):
        fit(key, given)


def shipped() -> Catalogue:
    table = Catalogue.load((ASSETS / "notice_templates.toml").read_text("utf-8"))
    return table.at({
        "main": {"template": {"earned": "x" * 43}, "subscription": {"earned": "w" * 43, "restock": "y" * 43}},
        "other": {"template": {"earned": "z" * 43}}}, ["main"])


def test_the_shipped_table_has_every_text() -> None:
    assert shipped().missing(Voice(ASSETS / "copy").keys()) == []


def test_what_the_texts_lack_is_named() -> None:
    texts = {"money.earned": frozenset({"title"}), "card.money.earned.amount1": frozenset({"amount_fen"}),
             "card.money.earned.thing2": frozenset({"title"}), "card.money.earned.thing9": frozenset[str]()}
    faults = "\n".join(shipped().missing(texts))
    for part in ("card.money.earned.amount1: amount_fen is no fact of money.earned",
                 "the text card.money.earned.thing3 is missing", "notice money.released: there is no such text",
                 "text card.money.earned.thing9: the template of money.earned has no such field"):
        assert part in faults


@pytest.mark.parametrize(("channel", "account", "key", "purpose", "why"), [
    ("template", "main", "money.earned", "money", ""),
    ("subscription", "main", "money.earned", "money", ""),
    ("template", "main", "money.earned", "marketing", KIND_NOT_ALLOWED),
    ("subscription", "main", "journey.recall.ask", "marketing", KIND_NOT_ALLOWED),
    ("subscription", "main", "journey.restock.soon", "marketing", ""),
    ("template", "main", "journey.restock.soon", "marketing", KIND_NOT_ALLOWED),
    ("template", "main", "money.taken_back", "money", NO_TEMPLATE),
    ("template", "main", "role.demoted", "service", NO_TEMPLATE),
    ("template", "other", "money.earned", "money", NOT_SERVICE),
])
def test_objections(channel: str, account: str, key: str, purpose: str, why: str) -> None:
    assert shipped().objection(channel, account, key, purpose) == why  # type: ignore[arg-type]


def test_every_fault_of_a_table_is_told_at_once() -> None:
    with pytest.raises(BadCatalogue) as caught:
        Catalogue.load("""
            extra = 1
            [order]
            money = ["pigeon"]
            [template.ad]
            title = "大促"
            kind = "marketing"
            fields = { thing1 = "a", colour2 = "b" }
            [template.thin]
            title = ""
            kind = "order"
            fields = { thing1 = "a" }
            [notice]
            "journey.recall.ask" = "ad"
        """)
    told = "\n".join(caught.value.faults)
    for part in ("extra is no part", "order.money: pigeon", "ad: marketing is none of the kinds", "colour2: no rule",
                 "thin: needs a title", "thin: needs two to five fields",
                 "journey.recall.ask: there is no template ad"):
        assert part in told
