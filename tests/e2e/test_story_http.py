"""The whole story over plain HTTP, with a platform and a mall that share no code with the service.

The fixture audits everything at the end: no message or event lost, nothing doubled, the books even.
"""

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from tests.e2e import wire
from tests.e2e.conftest import World
from tests.e2e.peer import PATIENCE, Answer, read_qr
from tests.e2e.waiting import until
from tests.e2e.wire import Callback

pytestmark = pytest.mark.timeout(120)


def test_the_whole_story(world: World, record_property: Callable[[str, object], None]) -> None:
    li = world.person("李姐🌸")
    assert "正在生成" in li.says("海报")
    scene = world.api.scenes[read_qr(li.gets_picture())]

    xin = world.platform.phone("新客")
    greeting = xin.follows(scene)
    assert "来自@李姐🌸的推荐" in greeting
    assert "新人礼包" in greeting
    world.mall.tells(world.mall.names(xin))

    world.buys("S1001", xin, 9_900, earner=li)
    began = time.monotonic()
    earned = li.gets("佣金到账 ¥7.92", "新*", "¥99.00 × 8% = ¥7.92", seconds=PATIENCE)
    record_property("commission_seconds", round(time.monotonic() - began, 3))
    assert "S1001" in earned

    assert "待结算 ¥7.92" in li.says("佣金")
    assert "+¥7.92" in li.says("明细")
    assert "¥99.00 × 8% = ¥7.92" in li.says("为什么 7.92")
    assert "¥99.00 × 8% = ¥7.92" in li.says("为什么 S1001")
    assert "1 位客户" in li.says("团队")
    assert "@李姐🌸" in xin.says("客户归属")

    world.books.back["S1001"] += 3_300
    world.mall.tells(world.mall.refunded("S1001", 3_300))
    li.gets("S1001", "扣回 ¥2.64")
    assert "待结算 ¥5.28" in li.says("佣金")

    world.mall.tells(world.mall.received("S1001"))
    xin.gets("恭喜成为")
    assert "可提现 ¥0.00" in li.says("佣金")


def test_a_receipt_of_last_week_makes_the_money_available(world: World) -> None:
    wang, scene = world.sharer("小王")
    buyer = world.person("老客", scene)
    world.buys("S2001", buyer, 10_000, earner=wang)
    wang.gets("佣金到账 ¥8.00")
    world.mall.tells(world.mall.received("S2001", ago=timedelta(days=7, minutes=1)))
    wang.gets("佣金可提现了：¥8.00")
    assert "可提现 ¥8.00" in wang.says("佣金")
    wallet = world.mall.wallet(wang)
    assert (wallet["pending_fen"], wallet["available_fen"]) == (0, 800)


def test_the_api_tells_the_same(world: World) -> None:
    zhao, scene = world.sharer("赵哥")
    buyer = world.person("孙姐", scene)
    world.buys("S3001", buyer, 9_900, earner=zhao)
    zhao.gets("佣金到账")
    found = world.mall.person(zhao)
    assert found["nickname"] == "赵哥"
    assert world.mall.person(buyer)["referrer_id"] == found["id"]
    lines = world.mall.reads("/orders/mall/S3001/commission")["lines"]
    assert [(line["beneficiary_id"], line["level"], line["base_fen"], line["rate_bps"], line["amount_fen"])
            for line in lines] == [(found["id"], 1, 9_900, 800, 792)]
    assert world.mall.reads(f"/people/{found['id']}/statement")["lines"]
    assert world.mall.reads("/ledger/check")["balanced"] is True
    assert world.mall.request("GET", f"/people/{found['id']}")[0] == 401
    assert world.mall.request("GET", f"/people/{found['id']}", headers={"Authorization": "Bearer no"})[0] == 401


def test_who_does_not_follow_is_not_written_to(world: World) -> None:
    qian, scene = world.sharer("钱姐")
    buyer = world.person("周哥", scene)
    qian.unfollows()
    sends = len(world.api.texts(qian.openid))
    world.books.untold.add("S4001")
    world.buys("S4001", buyer, 5_000, earner=qian)
    until(lambda: world.house.count("outbox where state = 'refused' and reason = 'unfollowed'"), "the refusal", 20)
    assert len(world.api.texts(qian.openid)) == sends


def test_the_same_message_three_times_at_once(world: World) -> None:
    """Three tries of one message overlap: one effect, and each try gets the same words."""
    phone = world.person("急姐")
    openid, xml, mark = phone.written("海报")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: world.platform.post(wire.callback(world.platform.keys, xml, openid)), "123"))
    said = {phone.reply(answer) for answer in answers}
    assert len(said) == 1
    assert "正在生成" in said.pop()
    phone.gets_picture()
    later = world.platform.post(wire.callback(world.platform.keys, xml, openid))
    assert "正在生成" in phone.reply(later)
    until(world.audit.at_rest, "all is done", 30)
    assert len(world.api.pictures(openid)) == 1
    assert world.house.count("inbox_message where dedupe_key = %s", mark) == 1


def test_a_thousand_messages_in_two_seconds(world: World, record_property: Callable[[str, object], None]) -> None:
    """A live-stream moment: everybody is answered before the platform gives up, and nothing is done twice."""
    crowd = [world.platform.phone(f"观众{n}") for n in range(250)]
    words = ("佣金", "帮助", "团队", "规则")
    messages = [phone.written(word) for word in words for phone in crowd]
    answers = world.platform.storm(messages, seconds=2.0)
    assert {answer.status for answer in answers} == {200}
    slowest = sorted(answer.seconds for answer in answers)
    figures = {"p50": slowest[500], "p99": slowest[990], "max": slowest[999],
               "answered_at_once": sum(answer.tries == 1 for answer in answers)}
    record_property("burst", figures)
    print("burst:", figures)
    marks = [mark for _, _, mark in messages]
    assert world.house.count("inbox_message where dedupe_key = any(%s) and state = 'done'", marks) == 1_000
    crowd[0].reply(answers[0])
    assert world.house.count("identity where value = any(%s)", [phone.openid for phone in crowd]) == 250


def test_the_door_verifies_its_address(world: World) -> None:
    keys = world.platform.keys
    stamp, nonce = str(int(time.time())), "1320562132"
    query = {"timestamp": stamp, "nonce": nonce, "echostr": "4375120948345356249",
             "signature": wire.sha1(keys.token, stamp, nonce)}
    answer = world.platform.post(Callback(query, b""), "GET")
    assert (answer.status, answer.body) == (200, b"4375120948345356249")
    assert world.platform.post(Callback({**query, "signature": "0" * 40}, b""), "GET").status == 403


def test_strangers_are_refused(world: World) -> None:
    """Nothing that is not signed, encrypted, fresh and small leaves a trace."""
    keys = world.platform.keys
    before = world.house.count("inbox_message")
    xml = wire.message_xml(keys, "o" + "x" * 27, {"MsgType": "text", "Content": "佣金", "MsgId": "1"})
    good = wire.callback(keys, xml)
    stranger = wire.Keys(app_id=keys.app_id, token=keys.token)
    plain = {name: good.query[name] for name in ("signature", "timestamp", "nonce")}
    refused = {
        "no signature": Callback({**good.query, "msg_signature": ""}, good.body),
        "wrong signature": Callback({**good.query, "msg_signature": "0" * 40}, good.body),
        "changed nonce": Callback({**good.query, "nonce": "1"}, good.body),
        "old": wire.callback(keys, xml, at=time.time() - 900),
        "of tomorrow": wire.callback(keys, xml, at=time.time() + 900),
        "another key": wire.callback(stranger, xml),
        "plain body": Callback(plain, xml.encode()),
        "plain body, claimed to be sealed": Callback(good.query, xml.encode()),
    }
    statuses = {name: world.platform.post(callback).status for name, callback in refused.items()}
    assert statuses == dict.fromkeys(refused, 403)
    big = Callback(good.query, good.body + b" " * 70_000)
    assert world.platform.post(big).status == 413
    assert _chunked(world, big).status == 413
    assert world.house.count("inbox_message") == before


def _chunked(world: World, callback: Callback) -> Answer:
    """A body that does not say how long it is."""
    connection = http.client.HTTPConnection("127.0.0.1", world.house.port, timeout=PATIENCE)
    pieces = [callback.body[at : at + 8192] for at in range(0, len(callback.body), 8192)]
    try:
        connection.request("POST", f"/wechat/main?{urlencode(callback.query)}", iter(pieces), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        return Answer(connection.getresponse().status)
    finally:
        connection.close()


@pytest.mark.parametrize("rubbish", [
    "no xml at all", "<xml><MsgType>text</MsgType></xml>",
    '<!DOCTYPE x [<!ENTITY a "b">]><xml><FromUserName>&a;</FromUserName></xml>',
])
def test_rubbish_with_a_good_signature_is_kept_for_a_person(world: World, rubbish: str) -> None:
    """The platform would repeat it for ever, so it is acknowledged; and quarantined, so that it is not lost."""
    before = world.house.count("inbox_message where state = 'quarantined'")
    answer = world.platform.post(wire.callback(world.platform.keys, rubbish))
    assert (answer.status, answer.body) == (200, b"success")
    assert world.house.count("inbox_message where state = 'quarantined'") == before + 1


def test_the_events_door(world: World) -> None:
    mall = world.mall
    buyer = world.person("门客")
    first, second = mall.paid("S5001", buyer, 1_000), mall.paid("S5002", buyer, 2_000)
    world.books.order("S5001", 1_000, None)
    world.books.order("S5002", 2_000, None)
    assert mall.post(first) == (202, {"accepted": 1, "duplicate": 0})
    assert mall.post(first, second) == (202, {"accepted": 1, "duplicate": 1})
    other = json.loads(json.dumps(first))
    other["data"]["paid_fen"] = other["data"]["lines"][0]["paid_fen"] = 999
    third = mall.paid("S5003", buyer, 3_000)
    assert mall.post(third, other)[0] == 409
    del other["data"]["buyer"]
    status, answer = mall.post(third, {**other, "id": "evt_bad"})
    assert status == 422
    assert "/events/1/data/buyer" in json.dumps(answer)
    body = json.dumps(third).encode()
    assert mall.request("POST", "/events/mall", body)[0] == 401
    old = wire.webhook_headers(mall.keys.webhook_secret, body, at=time.time() - 600)
    assert mall.request("POST", "/events/mall", body, old)[0] == 401
    other_body = wire.webhook_headers(mall.keys.webhook_secret, body)
    assert mall.request("POST", "/events/mall", body + b" ", other_body)[0] == 401
    assert mall.request("POST", "/events/mall", b" " * (1 << 20) + b"{}")[0] == 413
    assert world.house.count("commerce_event where event_id = %s", third["id"]) == 0


def test_every_door_of_the_demo_is_shut(world: World) -> None:
    for path in ("/sim", "/sim/", "/sim/clock", "/sim/weixin/cgi-bin/stable_token"):
        for method in ("GET", "POST"):
            connection = http.client.HTTPConnection("127.0.0.1", world.house.port, timeout=PATIENCE)
            connection.request(method, path, b"{}" if method == "POST" else None)
            assert connection.getresponse().status == 404, (method, path)
            connection.close()

