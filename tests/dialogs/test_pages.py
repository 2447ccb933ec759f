"""The customers' pages: opened from chat by a personal link, for that person, that page and a short time."""

import re
import time
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from bot.kit.links import LASTS_SECONDS, LinkRefused, Links
from bot.runtime.bootstrap import ASSETS
from handlers.web import h5
from tests.dialogs.test_rules import person_id
from tests.fakes.shop import Person, Shop

PAGES = sorted((ASSETS / "templates" / "h5").glob("*.html"))


def token(said: str) -> str:
    found = re.search(r"/me/rules\?t=([\w-]+)", said)
    assert found
    return found[1]


def link_of(who: Person) -> str:
    who.says("规则")
    assert isinstance(who.heard[-1], str)
    return token(who.heard[-1])


def opened(shop: Shop, path: str, status: int = 200) -> TestResponse:
    answer = shop.client.get(path)
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer


def test_the_link_from_chat_opens_the_persons_own_page(shop: Shop) -> None:
    li = shop.person("李姐")
    page = opened(shop, f"/me/rules?t={link_of(li)}").text
    for part in ("您现在是会员", "日用食品", "8%", "满 ¥100.00 可以提现", "¥50000.00 起"):
        assert part in page
    assert "<script" not in page and "style=" not in page


def test_the_form_tries_out_what_selling_more_would_bring_without_a_script(shop: Shop) -> None:
    li = shop.person("李姐")
    start = opened(shop, f"/me/rules?t={link_of(li)}").text
    hidden = re.search(r'name="t" value="([\w-]+)"', start)
    assert hidden
    page = opened(shop, f"/me/rules?t={hidden[1]}&more=6万").text
    for part in ("+¥4800.00", "+¥3000.00", "+¥3300.00", "会升到 8% 档"):
        assert part in page
    assert "没有看懂" in opened(shop, f"/me/rules?t={hidden[1]}&more=%3Cb%3Eabc").text
    assert "<b>abc" not in opened(shop, f"/me/rules?t={hidden[1]}&more=%3Cb%3Eabc").text


def test_a_page_is_kept_by_nobody_and_shown_in_no_frame(shop: Shop) -> None:
    for path, status in ((f"/me/rules?t={link_of(shop.person('李姐'))}", 200), ("/me/rules", 403)):
        headers = opened(shop, path, status).headers
        assert headers["Cache-Control"] == "private, no-store" and headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert opened(shop, "/me/h5.css").headers["Cache-Control"].startswith("public")


def test_a_wrong_or_foreign_link_shows_nothing(shop: Shop) -> None:
    good = link_of(shop.person("李姐"))
    links = shop.runtime.context.tool(Links)
    mine = person_id(shop.person("李姐"))
    swapped = ("B" if good[12] != "B" else "C").join((good[:12], good[13:]))
    for bad in ("", "x", good[:-1], good + "A", swapped, "é", "=" * 50, links.sign("wallet", mine),
                links.sign("rules", 10**9), good.upper(), "%00"):
        page = opened(shop, f"/me/rules?t={bad}", 403).text
        assert "这个链接打不开" in page and "会员" not in page


def test_a_link_ends_by_real_time_and_says_so(shop: Shop) -> None:
    li = shop.person("李姐")
    good = link_of(li)
    links = shop.runtime.context.tool(Links)
    long_ago = Links(links.key, links.public_url, lambda: time.time() - LASTS_SECONDS - 5)
    assert "链接已过期" in opened(shop, f"/me/rules?t={long_ago.sign('rules', person_id(li))}", 403).text
    shop.wait(days=40)
    opened(shop, f"/me/rules?t={good}")


def test_unknown_pages_and_methods_are_answered_in_words(shop: Shop) -> None:
    good = link_of(shop.person("李姐"))
    assert "没有找到" in opened(shop, f"/me/nothing?t={good}", 404).text
    assert "没有找到" in opened(shop, "/me/", 404).text
    assert shop.client.post("/me/rules", data={"t": good}).status_code == 405
    assert shop.client.put("/me/rules").status_code == 405
    assert shop.client.head(f"/me/rules?t={good}").status_code == 200
    assert opened(shop, f"/me/rules?t={good}&more=%00%ff'%27\"&more[]=1").status_code == 200


def test_a_merged_persons_old_link_opens_the_survivors_page(shop: Shop) -> None:
    li = shop.person("李姐")
    good = link_of(li)
    shop.event("customer.upserted", {"identities": {"mall_user_id": "m1"}})
    shop.event("customer.upserted", {"identities": {**li.identity, "mall_user_id": "m1"}})
    opened(shop, f"/me/rules?t={good}")


def test_links_hold_for_one_person_and_page_until_their_end() -> None:
    now = [1_000.0]
    links = Links(b"k" * 32, "https://shop.example", lambda: now[0])
    signed = links.sign("rules", 7, lasts=60)
    assert links.open("rules", signed) == (7, 1_060)
    now[0] = 1_059.9
    links.open("rules", signed)
    for page, given, reason in (("wallet", signed, "bad"), ("rules", signed[:-2], "bad")):
        with pytest.raises(LinkRefused, match=reason):
            links.open(page, given)
    now[0] = 1_060
    with pytest.raises(LinkRefused, match="expired"):
        links.open("rules", signed)
    with pytest.raises(LinkRefused, match="bad"):
        Links(b"j" * 32, "", lambda: 0).open("rules", signed)
    assert links.to("months", 7, "2026-11", sort="a b").startswith("https://shop.example/me/months/2026-11?t=")


def test_every_page_has_a_template_a_title_and_texts_that_exist(shop: Shop) -> None:
    names = {page.name for page in h5.PAGES}
    assert {path.stem for path in PAGES} == names | {"base", "notice"}
    known = shop.runtime.voice.keys()
    assert [name for name in names if f"h5.{name}.title" not in known] == []
    said = {(path.name, key) for path in PAGES for key in re.findall(r"say\('([\w.]+)'", path.read_text("utf-8"))}
    assert len(said) > 20 and [one for one in said if one[1] not in known] == []
    han = re.compile(r"[\u4e00-\u9fff]")
    assert [path.name for path in PAGES if han.search(path.read_text("utf-8"))] == []


def test_the_style_sheet_fetches_nothing() -> None:
    sheet = Path(ASSETS / "static" / "h5" / "h5.css").read_text("utf-8")
    assert "url(" not in sheet and "@import" not in sheet


@pytest.mark.parametrize("path", ["/console", "/console/orders", "/nothing", "/sim2"])
def test_whoever_gets_lost_with_a_browser_sees_a_page_of_the_shop(shop: Shop, path: str) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    page = shop.client.get(path, headers=browser)
    assert page.status_code == 404 and "没有找到这个页面" in page.text and "李记有机" in page.text
    assert page.headers["Cache-Control"] == "private, no-store"
    for asked in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        assert shop.client.get(path, headers=asked).text == "404 Not Found"
    assert shop.client.post(path, headers=browser).text == "404 Not Found"
    assert shop.client.get(f"/api/v1{path}", headers=browser).is_json
