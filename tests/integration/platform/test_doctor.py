"""The doctor: a healthy instance is all green; each illness is named with its remedy; no secret comes out."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.exc import InternalError
from sqlalchemy.orm import Session

from bot.runtime import backlog, doctor, key_mark, metrics, probing
from bot.runtime.cli import main
from bot.runtime.demo_keys import make_demo_pairs
from bot.runtime.findings import Finding
from bot.runtime.settings import load
from domain.people.leaving import Memory
from domain.shared.seal import Seal
from tests.conftest import MORNING
from tests.fakes.wechat_api import Code, Raw, WeChatApi

APP_SECRET = "c0ffee" * 5 + "42"
TOKEN = "canarytoken"
AES = "A" * 21 + "b" * 20 + "9" * 2


class _Callback(BaseHTTPRequestHandler):
    """Our own webhook as the platform sees it, knowing ``token``."""

    token = TOKEN

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        parts = sorted([self.token, query["timestamp"], query["nonce"]])
        good = hashlib.sha1("".join(parts).encode()).hexdigest() == query["signature"]
        self.send_response(200 if good else 403)
        self.end_headers()
        self.wfile.write(query["echostr"].encode() if good else b"no")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The command sets up logging for its process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


class _Elsewhere(_Callback):
    token = "elsewhere"


@contextmanager
def served(callback: type[_Callback]) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), callback) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def public() -> Iterator[str]:
    with served(_Callback) as url:
        yield url


@pytest.fixture
def peer() -> Iterator[WeChatApi]:
    with WeChatApi("wx0123456789abcdef", APP_SECRET) as peer:
        peer.menu = {"menu": {"button": []}}
        yield peer


@pytest.fixture
def env(tmp_path: Path, public: str, peer: WeChatApi, database_url: str, valkey_url: str) -> dict[str, str]:
    (tmp_path / "accounts.toml").write_text(f"""
        [shop]
        name = "x"
        [wechat.main]
        app_id = "wx0123456789abcdef"
        app_secret = "{APP_SECRET}"
        token = "{TOKEN}"
        encoding_aes_key = "{AES}"
        original_id = "gh_0123456789ab"
        api_base = "{peer.base}"
        [api.mall]
        webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        api_key = "{'k1' * 20}"
    """)
    return {"HUITOU_HOME": str(tmp_path / "var"), "HUITOU_ACCOUNTS": str(tmp_path / "accounts.toml"),
            "HUITOU_DEMO": "1", "HUITOU_SECRET_KEY": "", "DATABASE_URL": database_url, "REDIS_URL": valkey_url,
            "PUBLIC_URL": public}


Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def examine(env: dict[str, str], tmp_path: Path) -> Examine:
    return lambda **more: {finding.check: finding for finding in doctor.examine(load(env | more, tmp_path))}


def test_a_healthy_instance(examine: Examine) -> None:
    found = examine()
    assert {name: finding.state for name, finding in found.items() if finding.state != "green"} == {}
    assert {"settings", "keys", "secret key", "disk", "font (text)", "font (emoji)", "database", "schema", "cache",
            "clock (wechat.main)", "callback (main)", "token (main)", "menu (main)", "backlog"} <= set(found)


def test_the_address_to_add_to_the_ip_list_is_named(examine: Examine, peer: WeChatApi) -> None:
    peer.fail_always("stable_token", Code(40164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"))
    finding = examine()["IP list (main)"]
    assert finding.state == "red" and "203.0.113.7" in finding.cause and "IP" in finding.remedy


def test_a_wrong_secret(examine: Examine, peer: WeChatApi) -> None:
    peer.secret = "another"
    finding = examine()["token (main)"]
    assert finding.state == "red" and "40125" in finding.cause and "app_secret" in finding.remedy


@pytest.mark.parametrize(("code", "state", "says"), [
    (-1, "yellow", "busy"), (45011, "yellow", "in one minute"), (45009, "red", "midnight"),
    *((code, "red", "only of a message") for code in (43004, 45015, 45047))])
def test_what_refuses_a_token_is_told_for_what_it_is(
    examine: Examine, peer: WeChatApi, code: int, state: str, says: str
) -> None:
    """A code that has nothing to do with the secret sends nobody to look at it."""
    peer.fail_always("stable_token", Code(code))
    finding = examine()["token (main)"]
    assert (finding.state, finding.cause.split(":")[0]) == (state, str(code))
    assert says in finding.remedy and "app_secret" not in finding.remedy and "network" not in finding.remedy


def test_a_platform_that_does_not_answer_is_no_matter_of_the_secret(examine: Examine, peer: WeChatApi) -> None:
    peer.fail_always("stable_token", Raw(503, b""))
    finding = examine()["token (main)"]
    assert finding.state == "red" and "api_base" in finding.remedy and "app_secret" not in finding.remedy


def test_what_holds_wecom_is_told_in_the_words_of_wecom(engine: Engine) -> None:
    """45009 rests for a minute there and until midnight here; 40001 is the application's secret."""
    with engine.begin() as db:
        db.execute(text("insert into platform_hold (app_id, api, outcome, errcode, until) values "
                        "('ww1:7', 'externalcontact/get', 'back_off', 45009, '2126-11-22T16:00:00Z'), "
                        "('ww1:7', 'gettoken', 'config', 40001, '2126-11-22T16:00:00Z')"))
    with engine.connect() as db:
        found = list(backlog._holds(db, {"ww1:7": "wecom.main"}, MORNING))
    assert {one.check for one in found} == {"hold (wecom.main)"}
    assert "an hour or a day" in found[0].remedy and "应用管理" in found[1].remedy


def test_what_held_an_interface_is_told_for_what_it_is(examine: Examine, engine: Engine) -> None:
    says = {-1: "busy", 45011: "per_minute", 45015: "48 hours", 45047: "5 messages", 43004: "follow again"}
    with engine.begin() as db:
        for code in says:
            db.execute(text("insert into platform_hold (app_id, api, outcome, errcode, until) values "
                            "(:app, 'message/custom/send', 'back_off', :code, '2126-11-22T16:00:00Z')"),
                       {"app": f"wx{code}", "code": code})
    found = examine()
    for code, words in says.items():
        assert words in found[f"hold (wx{code})"].remedy


def test_calls_without_an_error_code_are_counted_by_how_far_they_came(
    examine: Examine, engine: Engine, peer: WeChatApi
) -> None:
    def counted() -> set[str]:
        lines = metrics.render(engine).decode().splitlines()
        return {line for line in lines if 'api="menu/get"' in line and '"answered"' in line}

    before = counted()
    peer.fail_always("menu/get", Raw(404, b""))
    assert "http 404" in examine()["menu (main)"].cause
    assert counted() != before


def test_a_missing_menu(examine: Examine, peer: WeChatApi) -> None:
    peer.menu = None
    assert examine()["menu (main)"].remedy == "python -m bot menu push"


def test_another_instance_answers_the_callback(examine: Examine) -> None:
    with served(_Elsewhere) as url:
        assert "another token" in examine(PUBLIC_URL=url)["callback (main)"].cause


def test_dead_servers_and_an_unreachable_address(examine: Examine) -> None:
    found = examine(DATABASE_URL="postgresql://u:canarypassword@127.0.0.1:9/x", REDIS_URL="redis://127.0.0.1:9/0",
                    PUBLIC_URL="http://127.0.0.1:9")
    assert {name: found[name].state for name in ("database", "cache", "service", "backlog")} == {
        "database": "red", "cache": "red", "service": "red", "backlog": "skipped"}
    assert "canarypassword" not in repr(found)


def kept(engine: Engine) -> list[tuple[object, ...]]:
    """What every process of the house believes of the platforms."""
    with engine.connect() as db:
        return [tuple(row) for table in probing.COPIED
                for row in db.execute(text(f"select * from {table} order by 1, 2"))]


@pytest.fixture
def demo_env(tmp_path: Path, database_url: str, valkey_url: str) -> dict[str, str]:
    """The demo shop, whose platforms are at its own address."""
    make_demo_pairs(tmp_path / "var")
    return {"HUITOU_HOME": str(tmp_path / "var"), "HUITOU_ACCOUNTS": "", "HUITOU_DEMO": "1", "PUBLIC_URL": "",
            "HUITOU_SECRET_KEY": "", "DATABASE_URL": database_url, "REDIS_URL": valkey_url, "PORT": "9"}


def test_a_service_that_is_not_there_is_one_finding(demo_env: dict[str, str], engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "var" / "port").write_text("8123\n")
    found = {one.check: one for one in doctor.examine(load(demo_env, tmp_path))}
    assert [name for name, one in found.items() if one.state == "red"] == ["service"]
    assert "127.0.0.1:9" in found["service"].cause and "PORT=8123" in found["service"].remedy
    assert {"token", "merchant", "clock"} <= set(found["not asked"].cause.replace(",", "").split())
    assert kept(engine) == []


def test_another_shop_at_the_address_is_one_finding(demo_env: dict[str, str], engine: Engine, tmp_path: Path,
                                                    public: str) -> None:
    asked = demo_env | {"PORT": public.rpartition(":")[2]}
    found = {one.check: one for one in doctor.examine(load(asked, tmp_path))}
    assert [name for name, one in found.items() if one.state == "red"] == ["service"]
    assert "is not this shop" in found["service"].cause and "PORT" in found["service"].remedy
    assert kept(engine) == []


def test_what_the_doctor_finds_out_holds_nobody_back(examine: Examine, engine: Engine, peer: WeChatApi) -> None:
    """Neither a refusal nor an api out of quota nor a host that is down; nor is what holds the service lifted."""
    with engine.begin() as db:
        db.execute(text("insert into platform_hold (app_id, api, outcome, errcode, until) values "
                        "('wx0123456789abcdef', 'stable_token', 'config', 40164, '2126-11-22T16:00:00Z')"))
    before = kept(engine)
    peer.fail_always("menu/get", Code(45009))
    assert examine()["menu (main)"].state == "yellow"
    peer.fail_always("stable_token", Code(40125))
    assert examine()["token (main)"].state == "red"
    peer.fail_always("stable_token", Raw(502, b"<html>bad gateway</html>"))
    assert [examine()["token (main)"].state for _ in range(6)] == ["red"] * 6
    assert kept(engine) == before


def test_the_doctor_cannot_write(database_url: str) -> None:
    for engine in (probing.reader(database_url), probing.prober(database_url)):
        with pytest.raises(InternalError, match="read-only"), engine.begin() as db:
            db.execute(text("insert into platform_budget (app_id, api, day) values ('a', 'b', now())"))
        engine.dispose()


def test_an_old_schema_and_a_backlog(examine: Examine, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text("update alembic_version set version_num = '0001'"))
        db.execute(text(
            "insert into outbox (queue, kind, key, payload, created_at, due_at, state, reason) values "
            "('notice', 'x', 'k1', '{}', now(), now() - interval '1 hour', 'waiting', ''), "
            "('slow', 'x', 'k2', '{}', now(), now(), 'dead', 'gave up')"))
    found = examine()
    assert (found["schema"].state, found["schema"].remedy) == ("red", "python -m bot migrate")
    assert "60 minutes" in found["backlog"].cause and "1 effect given up" in found["dead letters"].cause


def _event(number: int, state: str, hours: int) -> str:
    return ("with told as (insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at, "
            f"received_at) values ('mall', '{number}', 'd', 'order.received', 'order:mall/{number}', '{{}}', now(), "
            f"now() - interval '{hours} hours') returning id, type, subject) insert into commerce_open "
            f"(id, due_at, type, subject, state, reason) select id, now(), type, subject, '{state}', 'why' from told")


@pytest.mark.parametrize(("events", "state", "cause"), [
    ([("conflict", 0), ("conflict", 0), ("dead", 0)], "red", "2 contradict what is booked, 1 were given up"),
    ([("conflict", 0), ("parked", 2)], "red", "1 contradict what is booked, 1 wait for their order > 1 h"),
    ([("parked", 2), ("parked", 0)], "yellow", "1 wait for their order > 1 h"),
])
def test_commerce_events_that_need_a_human(
    examine: Examine, engine: Engine, events: list[tuple[str, int]], state: str, cause: str
) -> None:
    with engine.begin() as db:
        for number, (kind, hours) in enumerate(events):
            db.execute(text(_event(number, kind, hours)))
    found = examine()
    assert (found["events"].state, found["events"].cause) == (state, f"commerce events: {cause}")
    assert "events stuck" in found["events"].remedy and "backlog" not in found


def test_a_parked_event_is_judged_by_the_clock_of_the_demo(
    examine: Examine, engine: Engine, env: dict[str, str]
) -> None:
    with engine.begin() as db:
        db.execute(text(_event(1, "parked", 0)))
    assert "events" not in examine()
    (Path(env["HUITOU_HOME"]) / "clock").write_text("7200")
    assert examine()["events"].state == "yellow"


def test_what_waits_is_told_by_its_reason(examine: Examine, engine: Engine) -> None:
    reasons = [("no_right", 0), ("no_right", 0), ("config:40164", 0), ("back_off:45009", 0), ("back_off:-1", 0),
               ("quiet_hours", 0), ("ValueError: 17", 2), ("KeyError: x", 1)]
    with engine.begin() as db:
        for number, (reason, attempts) in enumerate(reasons):
            db.execute(text(
                "insert into outbox (queue, kind, key, payload, created_at, due_at, state, reason, attempts) values "
                "('notice', 'x', :key, '{}', now(), now() + interval '1 hour', 'waiting', :reason, :attempts)"),
                {"key": f"k{number}", "reason": reason, "attempts": attempts})
    waiting = {name: finding for name, finding in examine().items() if name.startswith("waiting")}
    assert {name: (finding.state, finding.cause.split()[0]) for name, finding in waiting.items()} == {
        "waiting (no_right)": ("green", "2"), "waiting (config:40164)": ("red", "1"),
        "waiting (back_off:45009)": ("yellow", "1"), "waiting (back_off:-1)": ("yellow", "1"),
        "waiting (failed)": ("yellow", "2")}
    assert "IP" in waiting["waiting (config:40164)"].remedy and "midnight" in waiting["waiting (back_off:45009)"].remedy


def test_messages_that_only_wait_for_their_people_are_no_illness(examine: Examine, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text("insert into outbox (queue, kind, key, payload, created_at, due_at, state, reason) values "
                        "('notice', 'x', 'k', '{}', now(), now() + interval '9 years', 'waiting', 'no_right')"))
    assert examine()["backlog"].state == "green"


def test_what_the_platform_made_us_rest_and_until_when(examine: Examine, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text(
            "insert into platform_hold (app_id, api, outcome, errcode, until) values "
            "('wx0123456789abcdef', 'message/custom/send', 'back_off', 45009, '2126-11-22T16:00:00Z'), "
            "('wxgone', 'menu/create', 'config', 48001, '2126-11-22T16:00:00Z'), "
            "('wxtold', 'media/upload#account', 'config', 40164, '2126-11-22T16:00:00Z'), "
            "('wx0123456789abcdef', 'user/info', 'back_off', 45011, now() - interval '1 minute')"))
    holds = {name: finding for name, finding in examine().items() if name.startswith("hold")}
    assert {name: (one.state, one.cause) for name, one in holds.items()} == {
        "hold (main)": ("yellow", "message/custom/send is not called until 2126-11-22T16:00:00Z (back_off:45009)"),
        "hold (wxgone)": ("red", "menu/create is not called until 2126-11-22T16:00:00Z (config:48001)"),
        "hold (wxtold)": ("red", "media/upload was refused; until it works, nobody is promised anything of it "
                                 "(config:40164)")}
    assert "midnight" in holds["hold (main)"].remedy


def test_messages_that_failed_or_were_given_up(examine: Examine, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text(
            "insert into inbox_message (account, dedupe_key, kind, payload, state, error, received_at, due_at) "
            "select 'main', n::text, 'text', '{}', (array['failed', 'dead', 'dead', 'done'])[n], 'why', now(), now() "
            "from generate_series(1, 4) n"))
    finding = examine()["messages"]
    assert (finding.state, finding.cause) == ("yellow", "2 messages given up, 1 failed and tried again")


def test_odd_keys_are_pointed_out_without_being_shown(examine: Examine, env: dict[str, str]) -> None:
    accounts = Path(env["HUITOU_ACCOUNTS"])
    accounts.write_text(accounts.read_text().replace("k1" * 20, "canary-key").replace(TOKEN, "canary_token"))
    found = examine()
    assert found["key api.mall.api_key"].state == found["key wechat.main.token"].state == "yellow"
    assert "canary" not in repr(found)


def test_a_key_file_that_others_can_read(examine: Examine, env: dict[str, str]) -> None:
    examine()
    (Path(env["HUITOU_HOME"]) / "secret.key").chmod(0o644)
    assert examine()["secret key"].remedy.startswith("chmod 600")


def test_the_command_prints_both_ways_and_ends_red(env: dict[str, str], peer: WeChatApi) -> None:
    run = CliRunner()
    healthy = run.invoke(main, ["doctor", "--json"], env=env)
    assert healthy.exit_code == 0 and {row["state"] for row in json.loads(healthy.stdout)} == {"green"}
    peer.fail_always("stable_token", Code(40243))
    ill = run.invoke(main, ["doctor"], env=env)
    assert ill.exit_code == 1 and "WRONG" in ill.output and "unfreeze" in ill.output
    shown = healthy.output + ill.output
    assert [secret for secret in (APP_SECRET, TOKEN, AES, "MfKQ9r8", "k1k1", "CANARYTOKEN") if secret in shown] == []


def test_faulty_settings_are_findings_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--json"], env={"PORT": "x", "HUITOU_HOME": str(tmp_path)})
    (finding,) = json.loads(result.stdout)
    assert (result.exit_code, finding["check"], finding["state"]) == (1, "settings: PORT", "red")


def test_buyers_who_could_not_be_counted_are_told_with_the_way_out(examine: Examine, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text("insert into programme_stale (person_id, fault, look_at) values (7, 'Bad: luck', now()),"
                        " (7, 'Bad: luck', now()), (8, 'Bad: luck', now()), (9, '', null)"))
    found = examine()["rewards"]
    assert found.state == "yellow" and found.cause.startswith("2 buyers") and "Bad: luck" in found.cause
    assert "reward parked" in found.remedy and "reward retry" in found.remedy


def test_employees_who_do_not_tap_are_named(examine: Examine, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text(
            "insert into person (id, joined_at, referral_code) overriding system value values (1, now(), 'abcdefgh')"))
        for number, (userid, hours, state) in enumerate([("anna", 30, "asked"), ("berta", 2, "asked"),
                                                         ("clara", 100, "cancelled")], 1):
            db.execute(text(
                "insert into staff_task (id, account, userid, purpose, said, digest, state, msgid, reason, created_at,"
                " expires_at, asked_at, ended_at) overriding system value values (:id, 'main', :userid, 'service', '',"
                " '', :state, :id, case :state when 'cancelled' then 'expired' else '' end, now(), now(),"
                " now() - make_interval(hours => :hours), case :state when 'cancelled' then now() end)"),
                {"id": number, "userid": userid, "state": state, "hours": hours})
        db.execute(text(
            "insert into staff_task_person (effect_id, task_id, person_id, external_userid, state, reason, joined_at,"
            " ended_at) values (1, 3, 1, 'wm1', 'refused', 'staff_did_not_send', now(), now())"))
    found = examine()
    assert found["staff tasks"].cause == "1 message waits for a tap for over a day: anna"
    assert found["staff messages"].cause.endswith("nobody tapped: clara")
    assert "notice tasks" in found["staff tasks"].remedy
    with engine.connect() as db:
        assert db.scalar(text("select count(*) from staff_task")) == 3
    assert 'huitou_staff_task_oldest_seconds{account="main"} 108' in metrics.render(engine).decode()


def test_a_changed_secret_key_is_told_until_it_is_explained(examine: Examine, engine: Engine, env, tmp_path) -> None:
    first, second = "first-secret-key-0123456789-abcdefgh", "other-secret-key-9876543210-hgfedcba"

    def opened(**more: str) -> Finding:
        with Session(engine) as session, session.begin():
            key_mark.keep(session, load(env | more, tmp_path), MORNING)
        return examine(**more)["secret key"]

    assert opened(HUITOU_SECRET_KEY=first).state == "green"
    found = opened(HUITOU_SECRET_KEY=second)
    assert found.state == "red" and "2026-11-20" in found.cause and "HUITOU_SECRET_KEY_PREVIOUS" in found.remedy
    assert first not in found.cause + found.remedy
    assert opened(HUITOU_SECRET_KEY=second, HUITOU_SECRET_KEY_PREVIOUS=first).state == "green"
    assert opened(HUITOU_SECRET_KEY=second).state == "green" and opened(HUITOU_SECRET_KEY=first).state == "red"
    changed = load(env | {"HUITOU_SECRET_KEY": second, "HUITOU_SECRET_KEY_PREVIOUS": first}, tmp_path)
    former = load(env | {"HUITOU_SECRET_KEY": first}, tmp_path)
    assert former.vault_keys()[0] in changed.vault_keys(), "what was sealed before still opens"
    memories = [Memory(*map(Seal, one.keys("erased identities"))) for one in (changed, former)]
    assert memories[1].digest("openid", "wx1", "o1") in memories[0].digests("openid", "wx1", "o1")
