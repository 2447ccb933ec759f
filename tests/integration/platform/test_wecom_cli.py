"""WeCom at the terminal: codes, contacts, tags, employees; and what the doctor says of an application."""

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import text
from werkzeug.serving import make_server

from bot.kit.wecom import WeComs
from bot.runtime import wecom_doctor
from bot.runtime.cli import main
from domain.shared.clock import FixedClock
from tests.fakes.corp import Corp
from tests.fakes.shop import Shop
from tests.fakes.wechat_api import Code
from tests.fakes.wecom_api import HINT, WeComApi


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def corp(tmp_path: Path, database_url: str, clock: FixedClock) -> Iterator[Corp]:
    with WeComApi("wwde300000000000d1", "", ["seller01"]) as api:
        shop = Shop.open(tmp_path / "shop", database_url, clock, wecom=api.base)
        api.secret = shop.runtime.settings.wecom["main"].secret.reveal()
        yield Corp(shop, api)
        shop.close()


def test_codes_contacts_tags_and_employees(corp: Corp, tmp_path: Path, database_url: str, valkey_url: str) -> None:
    api, account = corp.api, corp.shop.runtime.settings.wecom["main"]
    (tmp_path / "accounts.toml").write_text(
        f'[shop]\nname = "x"\n[wecom.main]\ncorp_id = "{account.corp_id}"\nagent_id = 1000002\n'
        f'secret = "{account.secret.reveal()}"\ntoken = "{account.token.reveal()}"\n'
        f'encoding_aes_key = "{account.encoding_aes_key.reveal()}"\napi_base = "{api.base}"\n')
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url,
           "HUITOU_ACCOUNTS": str(tmp_path / "accounts.toml")}

    def run(line: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    li = corp.of(corp.shop.person("李姐"))["id"]
    with corp.shop.runtime.sessions.begin() as session:
        session.execute(text("insert into operator (name, role, added_at) values ('wu', 'operator', now()),"
                             " ('fan', 'finance', now())"))
    made = json.loads(run(f"wecom way Seller01 --sharer {li} --product RICE-5KG --as wu --json"))
    assert (made["userid"], made["sharer_id"], made["sku"]) == ("seller01", li, "RICE-5KG")
    assert made["url"].startswith("https://wework.qpic.cn/")
    assert "finance" not in run("wecom way seller01 --as fan", expect=1)
    assert "person_unknown" not in run("wecom way seller01 --sharer 999999 --as wu", expect=1)
    run("wecom way seller01 --product NOTHING --as wu", expect=1)
    assert "40003" in run("wecom way stranger --as wu", expect=1)
    run("wecom way seller01 --account other --as wu", expect=1)

    api.fail("externalcontact/mark_tag", Code(84061))
    corp.adds("小新", made["token"])
    one, = json.loads(run("wecom contacts --json"))
    assert (one["nickname"], one["welcome"], len(one["tags"])) == ("小新", "sent", 2)
    assert "小新" in run("wecom contacts --userid SELLER01")
    assert json.loads(run("wecom contacts --userid seller02 --json")) == []
    way, = json.loads(run("wecom ways --json"))
    assert (way["sharer"], way["contacts"], way["config_id"]) == ("李姐", 1, made["config_id"])
    assert "李姐" in run("wecom ways")
    refused, = json.loads(run("wecom tags --json"))
    assert (refused["kind"], refused["reason"]) == ("interest", "unfollowed:84061") or refused["kind"] == "sharer"
    assert "84061" in run("wecom tags")
    assert json.loads(run("wecom staff --json"))[0]["contacts"] == 1
    assert "seller01" in run("wecom staff")
    acts = corp.rows("select subject, detail ->> 'userid' from audit_event where act = 'wecom.way'")
    assert ("contact_way:1", "seller01") in acts


def test_the_doctor_names_what_keeps_wecom_from_working(corp: Corp) -> None:
    server = make_server("127.0.0.1", 0, corp.shop.client.application, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    config = replace(corp.shop.runtime.settings, public_url=f"http://127.0.0.1:{server.server_port}")
    app = corp.shop.runtime.context.tool(WeComs).by_account["main"]

    def examine(**changes: object) -> dict[str, tuple[str, str]]:
        asked = replace(config, **changes)
        found = wecom_doctor.findings(asked, corp.shop.runtime.engine, lambda _name: app)
        return {one.check: (one.state, one.cause + one.remedy) for one in found}

    try:
        found = examine()
        assert {state for state, _ in found.values()} == {"green"}, found
        corp.api.fail("gettoken", Code(60020, f"not allow to access from your ip, {HINT}"))
        state, said = examine()["token (wecom.main)"]
        assert (state, "203.0.113.7" in said, "企业可信IP" in said) == ("red", True, True)
        corp.api.fail("externalcontact/get_follow_user_list", Code(48002))
        assert "可调用接口的应用" in examine()["customer contact (wecom.main)"][1]
        corp.rest()
        corp.api.staff.clear()
        assert examine()["customer contact (wecom.main)"][0] == "yellow"
        secret = replace(config.wecom["main"], encoding_aes_key=type(config.wecom["main"].token)("A" * 43))
        accounts = replace(config.accounts, wecom={"main": secret})
        assert examine(accounts=accounts)["callback (wecom.main)"][0] == "red"
    finally:
        server.shutdown()
        server.server_close()
    assert examine()["callback (wecom.main)"][0] == "red"
