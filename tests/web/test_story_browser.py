"""The whole story as a newcomer lives it: `python -m bot up`, a real Chromium, three phones, one shelf."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from selenium.webdriver.common.by import By

from bot.runtime import embedded
from tests import prepared, scratch
from tests.web.test_simulator_page import Page, chromium

__all__ = ["chromium"]

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


@dataclass
class Demo:
    """The running demo as the page helper wants to see a server."""

    url: str
    environ: dict[str, str]

    @property
    def server(self) -> "Demo":
        return self

    def get(self, path: str) -> Any:
        return requests.get(f"{self.url}/sim{path}", timeout=10).json()

    def bot(self, *words: str) -> str:
        """A command of the shop's terminal."""
        return subprocess.run([sys.executable, "-m", "bot", *words], cwd=ROOT, env=self.environ, check=True,
                              capture_output=True, text=True, timeout=90).stdout


@pytest.fixture(scope="module")
def demo(prepared_home: Path) -> Iterator[Demo]:
    home = scratch.directory("huitou-story-")
    port = embedded.free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUITOU_")}
    (home / "var").mkdir()
    prepared.copy(prepared_home, home / "var")
    log = (home / "up.log").open("w+b")
    environ = {**clean, "PORT": str(port), "HUITOU_HOME": str(home / "var")}
    running = subprocess.Popen([sys.executable, "-m", "bot", "up"], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                               env=environ, start_new_session=True)
    try:
        _await_ready(running, home / "up.log", port)
        yield Demo(f"http://127.0.0.1:{port}", environ)
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(40)
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def _await_ready(running: "subprocess.Popen[bytes]", log: Path, port: int) -> None:
    import time

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        if f"ready: http://127.0.0.1:{port}" in log.read_text(errors="replace"):
            return
        time.sleep(0.1)
    raise AssertionError(f"not ready:\n{log.read_text(errors='replace')[-4000:]}")


@pytest.fixture
def page(chromium: Any, demo: Demo) -> Iterator[Page]:
    page = Page(chromium, demo)  # type: ignore[arg-type]
    yield page
    assert page.complaints() == []
    chromium.get("about:blank")


def test_scan_a_poster_buy_see_the_commission_in_chat(page: Page) -> None:
    li, xin = page.phone("李姐"), page.phone("新客")
    page.sees("李姐", "欢迎来到李记有机")
    page.say("李姐", "海报")
    page.sees("李姐", "正在生成")
    page.tap("picture", li)
    page.tap("scan-as", "#viewer", "新客")
    page.sees("新客", "来自@李姐🌸的推荐")
    page.sees("新客", "新人礼包已到账")

    page.tap("product", text="五常有机大米")
    page.driver.find_element(By.CSS_SELECTOR, "#sheet label:has([data-name='新客'])").click()
    page.wait(lambda: page.find("pay").text == "付款 ¥99.00")
    page.tap("pay")
    page.sees("李姐", "佣金到账 ¥7.92")
    page.sees("李姐", "¥99.00 × 8% = ¥7.92")

    page.say("李姐", "佣金")
    page.sees("李姐", "待结算 ¥7.92")
    page.say("李姐", "明细")
    page.sees("李姐", "+¥7.92 佣金（待结算）")
    page.say("李姐", "为什么")
    page.sees("李姐", "日用食品类比例")
    page.say("李姐", "团队")
    page.sees("李姐", "1 位客户，1 位已下单")

    page.tap("orders", xin)
    page.wait(lambda: "已送达" in page.find("order").text)
    amount = page.find("refund-amount")
    amount.clear()
    amount.send_keys("33")
    page.tap("refund-part")
    page.sees("李姐", "扣回 ¥2.64")
    page.tap("receive")
    page.sees("新客", "恭喜成为生活推荐官")
    page.driver.find_element(By.CSS_SELECTOR, "body").click()

    for _ in range(8):
        moved = requests.post(f"{page.sim.server.url}/sim/clock", json={"advance_seconds": 86_400}, timeout=10)
        moved.raise_for_status()
    page.wait(lambda: _settled(page))


def _settled(page: Page) -> bool:
    """Whether the money has become available: asked through the chat, as she would, who reads the answer before she
    asks again. Asked at every look, the questions kept the workers from what she asked about."""
    asked = _answers(page)
    page.say("李姐", "佣金")
    page.wait(lambda: _answers(page) > asked)
    return "可提现 ¥5.28" in page.find("chat", page.phone("李姐")).text


def _answers(page: Page) -> int:
    return str(page.find("chat", page.phone("李姐")).text).count("可提现 ¥")


def test_add_the_employee_by_a_friends_code(page: Page, demo: Demo) -> None:
    requests.post(f"{demo.url}/sim/api/people", json={"name": "阿芳"}, timeout=10).raise_for_status()
    demo.bot("wecom", "way", "xiaozhushou", "--sharer", "2", "--product", "RICE-5KG", "--as", "lin")
    fang = page.phone("阿芳")
    page.tap("open-wecom")
    page.find("codes").find_element(By.TAG_NAME, "summary").click()
    page.tap("code")
    page.tap("scan-as", "#viewer", "阿芳")
    page.wait(lambda: "来自@小王的推荐" in page.find("staff-chat", fang).text)
    page.wait(lambda: {"小王推荐", "兴趣-日用食品"} <= {
        one.text for one in page.find("staff-tags", fang).find_elements(By.CSS_SELECTOR, "[data-test=tag]")})


def test_the_shops_own_pages_borrow_the_simulators_fonts(page: Page) -> None:
    page.say("小王", "规则")
    link = page.wait(lambda: page.driver.find_element(By.CSS_SELECTOR, "[href*='/me/rules?']"))
    page.driver.get(link.get_attribute("href"))
    for family, letter in (("Huitou Spare", "您"), ("Huitou Emoji", "🌸")):
        found = page.driver.execute_async_script(
            "document.fonts.load(`16px \"${arguments[0]}\"`, arguments[1]).then(faces => arguments[2](faces.length))",
            family, letter)
        assert found == 1


def test_no_name_of_the_api_is_broken_on_a_small_screen(page: Page, demo: Demo) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.driver.get(f"{demo.url}/api/docs")
        pieces = page.driver.execute_script("""
            return [...document.querySelectorAll("td:first-child code")]
                .map(name => [name.textContent, name.getClientRects().length])""")
        assert ["webhook-timestamp", 1] in pieces
        assert [name for name, lines in pieces if lines != 1] == []
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_page_of_a_customer_is_wider_than_the_smallest_phone(page: Page) -> None:
    words = {"规则": "rules", "进度": "progress", "抽奖": "draw", "兑换": "mall", "订阅": "reminders"}
    for word in words:
        page.say("小王", word)
    links = [page.wait(lambda kind=kind: page.driver.find_element(By.CSS_SELECTOR, f"[href*='/me/{kind}?']"))
             .get_attribute("href") for kind in words.values()]
    size = {"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for link in links:
            page.driver.get(link)
            assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 320, link
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
