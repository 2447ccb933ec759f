"""The page that confirms a payment, in a real browser with WeChat's part played: what is signed, asked and told."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from werkzeug.serving import make_server

from bot.runtime import embedded
from domain.shared.clock import FixedClock
from tests.dialogs.test_withdrawals import agreed, earner, page_of
from tests.fakes.gateway import TICKET
from tests.fakes.shop import Shop
from tests.web.test_simulator_page import chromium

__all__ = ["chromium"]

pytestmark = pytest.mark.browser

WECHAT = """
window.asked = [];
window.wx = {
  config: (given) => {
    window.configured = given;
    setTimeout(() => (%(refuse)s ? window.onerror_ : window.onready_)(), 0);
  },
  ready: (act) => { window.onready_ = act; }, error: (act) => { window.onerror_ = act; },
  checkJsApi: ({ success }) => success({ checkResult: { requestMerchantTransfer: %(able)s } }),
};
window.WeixinJSBridge = { invoke: (name, given, done) => {
  window.asked.push([name, given]); done({ err_msg: name + ":%(answer)s" }); } };
"""


@dataclass
class Open:
    """The page in a browser that plays WeChat."""

    driver: webdriver.Chrome
    shop: Shop
    url: str

    def press(self, able: str = "true", answer: str = "cancel", refuse: str = "false", wechat: bool = True) -> str:
        """Open the page, press the button; what the note says then."""
        script = WECHAT % {"able": able, "answer": answer, "refuse": refuse} if wechat else ""
        made = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        self.driver.get(self.url)
        self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)
        self.wait(lambda: self.driver.find_element(By.CSS_SELECTOR, "[data-package]").is_displayed())
        self.driver.find_element(By.CSS_SELECTOR, "[data-package]").click()
        self.wait(lambda: self.driver.find_element(By.CSS_SELECTOR, "[data-note]").is_displayed())
        return self.driver.find_element(By.CSS_SELECTOR, "[data-note]").text

    def wait(self, look: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 15
        while not look():
            assert time.monotonic() < deadline, self.driver.page_source[-2_000:]
            time.sleep(0.05)

    def of_page(self, name: str) -> Any:
        return self.driver.execute_script(f"return window.{name} || null")


@pytest.fixture
def page(chromium: webdriver.Chrome, tmp_path: Path, database_url: str, clock: FixedClock) -> Iterator[Open]:
    port = embedded.free_port()
    shop = Shop.open(tmp_path, database_url, clock, port=port)
    server = make_server("127.0.0.1", port, shop.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    li = earner(shop, "李姐", 198_000)
    agreed(li, "提现 150").says("确认")
    yield Open(chromium, shop, f"http://127.0.0.1:{port}{page_of(shop, li)}")
    chromium.get("about:blank")
    server.shutdown()
    thread.join()
    server.server_close()
    shop.close()


def test_the_button_signs_the_page_and_hands_over_the_package(page: Open) -> None:
    assert "还没有确认" in page.press()
    given = page.of_page("configured")
    said = f"jsapi_ticket={TICKET}&noncestr={given['nonceStr']}&timestamp={given['timestamp']}&url={page.url}"
    assert given["signature"] == hashlib.sha1(said.encode()).hexdigest()
    assert given["jsApiList"] == ["requestMerchantTransfer"]
    (number,) = page.shop.pay.waiting()
    app_id = page.shop.runtime.settings.wechat["demo"].app_id
    assert page.of_page("asked") == [["requestMerchantTransfer", {
        "mchId": "1900000109", "appId": app_id, "package": f"package-{number}"}]]

    assert "更新微信" in page.press(able="false")
    assert page.of_page("asked") is None or page.of_page("asked") == []
    assert "没有打开确认页" in page.press(answer="fail", refuse="true"), "an unsigned page still tries"
    assert len(page.of_page("asked")) == 1
    assert "正在查询" in page.press(answer="ok")
    assert "请在微信里打开" in page.press(wechat=False)
