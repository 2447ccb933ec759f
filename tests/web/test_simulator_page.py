"""The simulator's page in a real browser: what a newcomer does in the first five minutes."""

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import qrcode
from flask import Response
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from bot.runtime import embedded
from tests.integration.simulator.conftest import Client, new_database
from tests.integration.simulator.echo import CORP, FIRST_PEOPLE, Server
from tests.integration.simulator.test_wecom import MEMBER, Corp

pytestmark = pytest.mark.browser

QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
         "--force-prefers-reduced-motion")


def _program(*names: str) -> str:
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    profile = tempfile.mkdtemp(prefix="sim-page-")
    for flag in (*QUIET, "--window-size=1280,860", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver")))
    yield driver
    driver.quit()
    shutil.rmtree(Path(profile), ignore_errors=True)


@pytest.fixture
def sim(postgres: embedded.Server) -> Iterator[Client]:
    with new_database(postgres) as url:
        server = Server(url, people=FIRST_PEOPLE)
        client = Client(server)
        yield client
        client.http.close()
        server.stop()


class Page:
    """The page as somebody sees it: phones by name, things by their data-test mark."""

    def __init__(self, driver: webdriver.Chrome, sim: Client) -> None:
        self.driver, self.sim = driver, sim
        driver.get(f"{sim.server.url}/sim/")
        self.wait(lambda: driver.execute_script("return document.body.dataset.ready"))
        self.openid = {one["name"]: one["openid"] for one in sim.get("/api/state")["people"]}

    def wait(self, check: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, 30, 0.05, ignored_exceptions=[Exception]).until(lambda _: check())

    def find(self, test: str, within: str = "") -> WebElement:
        mark = f'{within} [data-test="{test}"]'
        found: WebElement = self.wait(lambda: self.driver.find_element(By.CSS_SELECTOR, mark))
        return found

    def phone(self, name: str) -> str:
        return f'[data-test="phone"][data-name="{name}"]'

    def tap(self, test: str, within: str = "", text: str = "") -> None:
        def try_it() -> bool:
            for one in self.driver.find_elements(By.CSS_SELECTOR, f'{within} [data-test="{test}"]'):
                if one.is_displayed() and text in one.text:
                    one.click()
                    return True
            return False
        self.wait(try_it)

    def say(self, name: str, text: str) -> None:
        self.find("input", self.phone(name)).send_keys(text, Keys.ENTER)

    def sees(self, name: str, text: str) -> None:
        self.wait(lambda: text in self.find("chat", self.phone(name)).text)

    def toast(self, text: str) -> None:
        self.wait(lambda: text in self.find("toasts").get_attribute("textContent"))

    def complaints(self) -> list[str]:
        """Errors of scripts, of the content policy and of missing files; refused acts are not among them."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] == "SEVERE" and "/sim/api/" not in line["message"]]


@pytest.fixture
def page(chromium: webdriver.Chrome, sim: Client) -> Iterator[Page]:
    page = Page(chromium, sim)
    yield page
    assert page.complaints() == []
    chromium.get("about:blank")


def _poster(url: str) -> bytes:
    canvas = Image.new("RGB", (1080, 1920), "#f3e6d2")
    canvas.paste(qrcode.make(url).get_image().convert("RGB").resize((320, 320)), (700, 1540))
    sink = io.BytesIO()
    canvas.save(sink, "JPEG", quality=82)
    return sink.getvalue()


def _give_poster(page: Page, name: str, url: str) -> None:
    media_id = page.sim.upload(_poster(url))["media_id"]
    sent = page.sim.call("message/custom/send", touser=page.openid[name], msgtype="image", image={"media_id": media_id})
    assert sent["errcode"] == 0


def test_a_word_is_answered_on_the_same_phone_only(page: Page) -> None:
    page.sees("李姐", "欢迎")
    page.say("李姐", "海报 <b>1</b>")
    page.sees("李姐", "你说：海报 <b>1</b>")
    assert "海报" not in page.find("chat", page.phone("小王")).text
    assert "可发 8 条" in page.find("rights", page.phone("李姐")).text


def test_a_link_to_the_mall_opens_as_whoever_taps_it(page: Page) -> None:
    page.sees("李姐", "欢迎")
    mall = f"{page.sim.server.url}/sim/goods/RICE-5KG"
    sent = page.sim.call("message/custom/send", touser=page.openid["李姐"], msgtype="text",
                         text={"content": f'用完了？<a href="{mall}">马上下单</a>'})
    assert sent["errcode"] == 0
    way = page.wait(lambda: page.driver.find_element(By.CSS_SELECTOR, f'{page.phone("李姐")} .bubble a[href*="goods"]'))
    assert (way.text, way.get_attribute("href")) == ("马上下单", f"{mall}?as={page.openid['李姐']}")
    page.driver.get(way.get_attribute("href") or "")
    page.wait(lambda: page.driver.find_element(By.CSS_SELECTOR, "#picture .pic"))
    page.tap("pay")
    assert "已付款" in page.find("bought").text
    page.wait(lambda: [one["data"]["buyer"]["openid"] for one in page.sim.echo.events] == [page.openid["李姐"]])
    page.driver.find_element(By.PARTIAL_LINK_TEXT, "小视频").click()
    assert page.find("film").is_displayed()


def test_a_newcomer_scans_the_poster_follows_and_buys(page: Page) -> None:
    page.sees("李姐", "欢迎")
    _give_poster(page, "李姐", page.sim.scene("r.k7Qm2x")["url"])
    assert page.find("following", page.phone("新客")).text == "未关注"
    page.tap("picture", page.phone("李姐"))
    page.tap("scan-as", "#viewer", "新客")
    page.sees("新客", "欢迎 qrscene_r.k7Qm2x")
    assert page.find("following", page.phone("新客")).text == "已关注"

    page.tap("product", text="大米")
    page.driver.find_element(By.CSS_SELECTOR, "#sheet label:has([data-name='新客'])").click()
    page.find("coupon").send_keys("9.5")
    page.wait(lambda: page.find("pay").text == "付款 ¥89.50")
    page.tap("pay")
    event = page.sim.wait(lambda: page.sim.echo.events)[0]
    assert (event["type"], event["data"]["paid_fen"]) == ("order.paid", 8_950)
    assert event["data"]["buyer"]["openid"] == page.openid["新客"]

    page.tap("orders", page.phone("新客"))
    page.wait(lambda: "已送达" in page.find("order").text)
    amount = page.find("refund-amount")
    amount.clear()
    amount.send_keys("30")
    page.tap("refund-part")
    refund = page.sim.wait(lambda: page.sim.echo.events[1:])[0]
    assert refund["data"]["lines"] == [{"line_id": "1", "refund_fen": 3_000, "quantity": 0}]
    page.wait(lambda: "已退 ¥30.00" in page.find("order").text)


def test_the_button_says_what_this_customer_pays(page: Page) -> None:
    page.sees("李姐", "欢迎")
    page.sim.server.members.add(page.openid["小王"])
    page.tap("product", text="大米")
    for name, price in (("新客", "付款 ¥99.00"), ("小王", "付款 ¥94.05（会员价）"), ("李姐", "付款 ¥99.00")):
        page.driver.find_element(By.CSS_SELECTOR, f"#sheet label:has([data-name='{name}'])").click()
        page.wait(lambda price=price: page.find("pay").text == price)
    page.driver.find_element(By.CSS_SELECTOR, "#sheet label:has([data-name='小王'])").click()
    page.tap("pay")
    assert page.sim.wait(lambda: page.sim.echo.events)[0]["data"]["paid_fen"] == 9_405


def test_an_expired_poster_says_so(page: Page) -> None:
    page.sees("小王", "欢迎")
    _give_poster(page, "小王", page.sim.scene("r.old", 60)["url"])
    page.find("picture", page.phone("小王"))
    page.tap("advance-day")
    page.wait(lambda: "11月21日" in page.find("clock-now").text)
    page.tap("profile-scan", page.phone("新客"))
    page.tap("scan-picture", "#sheet")
    page.sees("新客", "二维码已过期")
    page.toast("二维码已过期")
    assert page.find("following", page.phone("新客")).text == "未关注"


def test_a_service_that_fails_shows_the_red_line(page: Page) -> None:
    page.sees("李姐", "欢迎")
    page.sim.echo.instead = lambda message: Response("{}") if message["MsgType"] == "text" else None
    page.say("李姐", "在吗")
    page.sees("李姐", "该公众号提供的服务出现故障，请稍后再试")
    page.tap("open-inspector")
    page.wait(lambda: "答复无效" in page.find("entries").text)


def test_menus_below_and_inside_the_chat(page: Page) -> None:
    page.sees("李姐", "欢迎")
    page.sim.call("menu/create", button=[{"type": "click", "name": "海报", "key": "poster"}, {
        "name": "收益", "sub_button": [{"type": "click", "name": "佣金", "key": "wallet"}]}])
    page.tap("menu-top", page.phone("李姐"), "收益")
    page.tap("menu-entry", page.phone("李姐"), "佣金")
    page.sim.wait(lambda: [one for one in page.sim.echo.received if one.get("EventKey") == "wallet"])
    page.sim.call("message/custom/send", touser=page.openid["李姐"], msgtype="msgmenu", msgmenu={
        "head_content": "您是不是想", "list": [{"id": "1", "content": "提现"}], "tail_content": ""})
    page.tap("choice", page.phone("李姐"), "提现")
    page.sees("李姐", "你说：提现")


def test_faults_and_refusals_are_told(page: Page) -> None:
    page.tap("open-faults")
    page.tap("fault", "#drawer", "45047")
    page.wait(lambda: page.find("active-fault").is_displayed())
    assert page.sim.get("/api/faults")["faults"][0]["fault"] == "45047"
    page.tap("close", "#drawer")
    page.tap("add-person")
    page.find("person-name").send_keys("李姐", Keys.ENTER)
    page.toast("已经有一位叫李姐的人了")
    page.find("person-name").clear()
    page.find("person-name").send_keys("陈叔", Keys.ENTER)
    page.tap("follow", page.phone("陈叔"))
    page.sees("陈叔", "欢迎")
    page.tap("plus", page.phone("陈叔"))
    page.tap("panel-location", page.phone("陈叔"))
    page.sees("陈叔", "昆明")
    page.tap("plus", page.phone("陈叔"))
    page.tap("panel-voice", page.phone("陈叔"))
    page.find("voice-heard").send_keys("看一下佣金", Keys.ENTER)
    page.sees("陈叔", "看一下佣金。")


@pytest.fixture
def corp_page(chromium: webdriver.Chrome, postgres: embedded.Server) -> Iterator[tuple[Page, Corp]]:
    with new_database(postgres) as url:
        corp = Corp(Server(url, people=FIRST_PEOPLE, corps=(replace(CORP, staff=CORP.staff[:1]),)))
        page = Page(chromium, corp)
        yield page, corp
        assert page.complaints() == []
        chromium.get("about:blank")
        corp.http.close()
        corp.server.stop()


def test_a_customer_adds_the_staff_who_confirms_a_mass_message(corp_page: tuple[Page, Corp]) -> None:
    page, corp = corp_page
    li = page.phone("李姐")
    page.sees("李姐", "欢迎")
    page.tap("plus", li)
    page.tap("panel-staff", li)
    external = page.wait(lambda: corp.echo.contacts)[0]["ExternalUserID"]
    assert corp.welcome(text={"content": "我是小助手"}) == 0
    page.wait(lambda: "我是小助手" in page.find("staff-chat", li).text)
    corp.ask("externalcontact/mark_tag", {
        "userid": MEMBER, "external_userid": external, "add_tag": [corp.tag("小王推荐")]})
    page.wait(lambda: "小王推荐" in page.find("staff-tags", li).text)
    page.tap("staff-back", li)

    corp.mass(external, text="大米到货了")
    page.tap("open-wecom")
    page.wait(lambda: "小王推荐" in page.find("contact-tags").text)
    page.tap("mass-send")
    page.wait(lambda: "已送达" in page.find("fate").text)
    page.tap("close", "#drawer")
    page.wait(lambda: "大米到货了" in page.find("staff-bar", li).text)
    page.tap("staff-bar", li)
    page.tap("staff-more", li)
    page.tap("staff-delete", "#sheet")
    page.wait(lambda: corp.echo.contacts[-1]["ChangeType"] == "del_follow_user")


def test_a_small_screen_shows_one_phone_and_never_scrolls_sideways(page: Page) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.driver.execute_async_script("document.fonts.ready.then(arguments[0])")
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
        width = page.driver.execute_script("return document.querySelector('.device').getBoundingClientRect().width")
        assert 360 <= width <= 391
        page.say("李姐", "你好")
        page.sees("李姐", "你说：你好")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


FOR_FINGERS = """
    return [...document.querySelectorAll('button, input, select')].filter(one => one.offsetParent)
        .map(one => [one, one.getBoundingClientRect()]).filter(([, box]) => box.height > 0 && box.height < 44)
        .map(([one, box]) => `${one.dataset.test || one.className || one.textContent}: ${box.height}`)"""


def test_on_the_smallest_screen_everything_is_as_high_as_a_finger(page: Page) -> None:
    size = {"width": 360, "height": 780, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert page.driver.execute_script(FOR_FINGERS) == []
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360
        page.tap("open-faults")
        page.find("fault", "#drawer")
        assert page.driver.execute_script(FOR_FINGERS) == []
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_chinese_and_emoji_are_drawn_where_the_machine_has_no_such_fonts(page: Page) -> None:
    asked = """
        const [done] = arguments;
        const asked = [['600 15px "Huitou Spare"', '李'], ['15px "Huitou Emoji"', '🌸']];
        Promise.all(asked.map(([font, letter]) => document.fonts.load(font, letter)))
            .then(found => done(found.map(faces => faces.map(face => face.status))), fault => done(String(fault)))"""
    page.driver.set_script_timeout(30)
    assert page.driver.execute_async_script(asked) == [["loaded"], ["loaded"]]
    drawn = page.driver.execute_script("return getComputedStyle(document.body).fontFamily")
    assert '"Huitou Spare", "Huitou Emoji", system-ui' in drawn
    files = f"{page.sim.server.url}/sim/fonts"
    for name, kind, begins in (("text.otf", "font/otf", b"OTTO"), ("emoji.woff2", "font/woff2", b"wOF2")):
        answer = page.sim.http.get(f"{files}/{name}", timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind) and answer.content.startswith(begins)
    assert page.sim.http.get(f"{files}/OFL.txt", timeout=10).status_code == 404
