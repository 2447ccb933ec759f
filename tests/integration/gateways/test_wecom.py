"""WeCom's gateway against a strict little peer: one token, typed outcomes, what is repeated and what is not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from bot.kit.gateway import GatewayError, Outcome
from bot.kit.wecom import Contact, Follower
from bot.runtime.gateways.wecom import AppConfig, WeComGateway
from tests.fakes.wechat_api import EMPTY, Code, Raw, Reset
from tests.fakes.wecom_api import HINT, WeComApi
from tests.integration.gateways.conftest import HASTY, KEY, Watch

CORP, SECRET = "wwCANARYCORP", "CANARYSECRET0123456789"
GET, WELCOME, MARK, ADD = ("externalcontact/" + name for name in ("get", "send_welcome_msg", "mark_tag",
                                                                 "add_corp_tag"))


@pytest.fixture
def corp() -> Iterator[WeComApi]:
    with WeComApi(CORP, SECRET, ["seller01"]) as corp:
        yield corp


def build(corp: WeComApi, engine: Engine, watch: Watch, secret: str = SECRET) -> WeComGateway:
    return WeComGateway(AppConfig("main", CORP, 1000002, secret, corp.base), engine, KEY, watch.real)


@pytest.fixture
def gateway(corp: WeComApi, engine: Engine, watch: Watch) -> Iterator[WeComGateway]:
    gateway = build(corp, engine, watch)
    yield gateway
    gateway.close()


def refused(call, *args) -> tuple[Outcome, int, str]:
    with pytest.raises(GatewayError) as error:
        call(*args)
    result = error.value.result
    return result.outcome, result.errcode, result.detail


def test_a_contact_with_and_without_a_unionid(corp: WeComApi, gateway: WeComGateway):
    corp.friends("seller01", "wm1", "小新", "oUNION", "c7f2k9")
    corp.friends("seller01", "wm2", "小白")
    assert gateway.contact("wm1") == Contact("wm1", "小新", "https://example.invalid/a.png", "oUNION", True,
                                             (Follower("seller01", "c7f2k9", ()),))
    assert gateway.contact("wm2").unionid == ""
    assert refused(gateway.contact, "wm3")[:2] == (Outcome.REJECTED, 40096)
    assert corp.count("gettoken") == 1


def test_many_cold_callers_fetch_one_token_and_a_refused_one_is_renewed_once(corp, engine, watch):
    corp.friends("seller01", "wm1")
    corp.delay = 0.02
    processes = [build(corp, engine, watch) for _ in range(3)]
    with ThreadPoolExecutor(9) as pool:
        assert len(list(pool.map(lambda n: processes[n % 3].contact("wm1"), range(9)))) == 9
    assert corp.counts() == {"gettoken": 1, GET: 9}
    for code in (40014, 42001):
        corp.good.clear()
        corp.calls.clear()
        corp.fail(GET, Code(code))
        assert processes[0].contact("wm1").external_userid == "wm1"
        assert corp.counts() == {"gettoken": 1, GET: 2}
    with engine.connect() as db:
        assert db.scalar(text("select app_id from platform_token")) == f"{CORP}:1000002"


def test_a_token_refused_for_ever_is_asked_for_once(corp: WeComApi, gateway: WeComGateway):
    corp.friends("seller01", "wm1")
    corp.fail_always(GET, Code(40014))
    assert refused(gateway.contact, "wm1")[0] is Outcome.BACK_OFF
    assert corp.count(GET) == 1


@pytest.mark.parametrize("code", [40001, 40013])
def test_a_bad_secret_is_a_persons_matter_and_not_asked_again_at_once(corp, engine, watch, code):
    gateway = build(corp, engine, watch, secret="wrong" if code == 40001 else SECRET)
    if code == 40013:
        corp.app_id = "wwother"
    for _ in range(3):
        assert refused(gateway.contact, "wm1")[:2] == (Outcome.CONFIG, code)
    assert corp.count() == corp.count("gettoken") == 1


def test_an_address_that_is_not_on_the_list_is_named(corp: WeComApi, gateway: WeComGateway):
    corp.fail_always("gettoken", Code(60020, f"not allow to access from your ip, {HINT}"))
    outcome, code, detail = refused(gateway.ping_token)
    assert (outcome, code, detail) == (Outcome.CONFIG, 60020, "ip 203.0.113.7 hint 1700000000123456")


@pytest.mark.parametrize(("code", "outcome"), [
    (48002, Outcome.CONFIG), (60011, Outcome.CONFIG), (40056, Outcome.CONFIG), (701008, Outcome.CONFIG),
    (84061, Outcome.UNFOLLOWED), (40096, Outcome.REJECTED), (40068, Outcome.REJECTED), (40003, Outcome.REJECTED),
])
def test_the_codes_of_wecom_are_not_those_of_the_official_account(corp, gateway, code, outcome):
    corp.friends("seller01", "wm1")
    corp.fail(MARK, Code(code))
    result = gateway.mark("seller01", "wm1")
    assert (result.outcome, result.errcode, corp.count(MARK)) == (outcome, code, 1)


def test_a_rate_rests_for_a_minute_and_too_many_at_a_time_are_spread(corp, gateway, watch):
    corp.friends("seller01", "wm1")
    corp.fail(MARK, Code(45033), Code(45033))
    assert gateway.mark("seller01", "wm1").outcome is Outcome.SENT
    assert watch.slept == [0.5, 1.0]
    corp.fail(MARK, Code(45009))
    first, second = (gateway.mark("seller01", "wm1") for _ in range(2))
    assert first.outcome is second.outcome is Outcome.BACK_OFF
    assert (first.retry_at - watch.now()).total_seconds() == 60
    assert corp.count(MARK) == 4


def test_a_welcome_is_tried_once_a_call_and_no_trouble_holds_the_next_one_back(corp, gateway, watch):
    codes = [corp.friends("seller01", f"wm{n}") for n in range(9)]
    troubles = [Code(-1), Code(45033), Code(41096), Raw(502, b""), Reset(acted=False), EMPTY]
    for code, trouble in zip(codes, troubles, strict=False):
        corp.fail(WELCOME, trouble)
        assert gateway.welcome(code, "你好").outcome is Outcome.BACK_OFF, trouble
    assert watch.slept == []
    assert [gateway.welcome(code, "你好").outcome for code in codes] == [Outcome.SENT] * 9
    assert corp.count(WELCOME) == 15
    assert [one[1] for one in corp.welcomes] == [f"wm{n}" for n in range(9)]


def test_a_welcome_whose_answer_was_lost_is_known_when_it_is_repeated(corp, gateway):
    code = corp.friends("seller01", "wm1")
    corp.fail(WELCOME, Reset(acted=True))
    assert gateway.welcome(code, "你好").outcome is Outcome.BACK_OFF
    assert gateway.welcome(code, "你好").errcode == 41051
    assert len(corp.welcomes) == 1
    assert gateway.welcome("WCnone", "你好").errcode == 41050


def test_a_tag_is_made_once_however_many_want_it(corp, engine, watch):
    corp.delay = 0.01
    processes = [build(corp, engine, watch) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        ids = set(pool.map(lambda n: processes[n % 3].tag_id("推荐人", "李姐推荐"), range(6)))
    assert len(ids) == 1
    assert corp.count(ADD) == 1
    assert {(tag.group, tag.name) for tag in processes[0].tags()} == {("推荐人", "李姐推荐")}


def test_a_tag_that_an_administrator_made_meanwhile_is_taken(corp, gateway):
    made: list[dict[str, str]] = []

    def meanwhile(call):
        corp.groups["推荐人"] = {"李姐推荐": "etADMIN"}
        made.append(corp.groups["推荐人"])
        return {"errcode": 40071, "errmsg": "tag name existed"}

    corp._externalcontact_add_corp_tag = meanwhile
    assert gateway.tag_id("推荐人", "李姐推荐") == "etADMIN"
    assert len(made) == 1


def test_a_corp_full_of_tags_is_not_asked(corp, gateway):
    corp.groups["x"] = {f"t{n}": f"et{n}" for n in range(3_000)}
    assert refused(gateway.tag_id, "推荐人", "李姐推荐")[0] is Outcome.QUOTA_USED
    assert gateway.tag_id("x", "t5") == "et5"
    assert corp.count(ADD) == 0


def test_a_contact_way_is_not_made_twice_in_doubt(corp, engine, watch):
    gateway = build(corp, engine, watch)
    way = gateway.add_way("seller01", "s" * 30, "李姐")
    assert corp.ways[way.config_id]["state"] == "s" * 30
    corp.fail("externalcontact/add_contact_way", Reset(acted=True))
    assert refused(gateway.add_way, "seller01", "s2", "李姐")[0] is Outcome.UNKNOWN
    assert len(corp.ways) == 2
    assert refused(gateway.add_way, "stranger", "s3", "")[:2] == (Outcome.REJECTED, 40003)


def test_staff_and_messages_to_them(corp, gateway):
    assert gateway.staff() == ["seller01"]
    assert gateway.tell("seller01", "好" * 1_000).message_id == "MSGID_1"
    assert len(corp.told[0][1].encode()) <= 2048
    assert gateway.tell("ghost", "x").outcome is Outcome.CONFIG


def test_no_secret_shows(corp, gateway, capsys, caplog):
    import logging
    caplog.set_level(logging.DEBUG)
    gateway.staff()
    corp.fail("externalcontact/get_follow_user_list", Code(40001, f"bad {SECRET} {corp.tokens[0]}"))
    shown = repr(gateway) + str(refused(gateway.staff)) + caplog.text + capsys.readouterr().out
    assert SECRET not in shown
    assert corp.tokens[0] not in shown


def test_an_answer_that_never_comes_ends(corp, engine, watch):
    from tests.fakes.wechat_api import Hang
    gateway = WeComGateway(AppConfig("main", CORP, 1000002, SECRET, corp.base), engine, KEY, watch.real,
                           timeouts=HASTY)
    gateway.staff()
    corp.fail(WELCOME, Hang())
    assert gateway.welcome(corp.friends("seller01", "wm1"), "x").outcome is Outcome.BACK_OFF
