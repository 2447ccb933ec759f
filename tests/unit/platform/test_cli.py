"""The command line: help in plain words everywhere, faults with status 2, signed order events."""

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bot.runtime.cli import main
from bot.runtime.cli.orders import signed_headers
from bot.runtime.secret import Secret
from bot.runtime.settings import load


def commands(command: click.Command, name: str = "bot") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from commands(found, f"{name} {inner}")


ALL = dict(commands(main))


def run(home: Path, *arguments: str, **env: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"HUITOU_HOME": str(home), **env}, catch_exceptions=False)


@pytest.mark.parametrize("name", ALL)
def test_every_command_explains_itself(name: str) -> None:
    command = ALL[name]
    assert command.help and len(command.help) > 20
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    assert [option.name for option in options if not option.help] == []
    if not isinstance(command, click.Group):
        assert re.search(r"\x08\n *Examples?\b", command.help), "show how it is called, in lines of their own"
    shown = command.get_help(click.Context(command, max_content_width=100))
    assert "`" not in shown and "with this ID" not in shown, "a terminal shows no marks, and arguments have names"


@pytest.mark.parametrize("name", ALL)
def test_no_number_is_too_large_for_the_database(name: str) -> None:
    for param in ALL[name].params:
        if isinstance(param.type, click.types.IntParamType):
            assert isinstance(param.type, click.IntRange) and param.type.max is not None, param.name
            assert param.type.max < 2**63, param.name


def test_a_file_in_another_encoding_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "seen.toml"
    file.write_bytes('title = "见单"'.encode("gb18030"))
    result = run(tmp_path, "segment", "check", str(file))
    assert result.exit_code == 2 and "not UTF-8" in result.output and "Traceback" not in result.output


def test_every_group_of_commands_is_in_the_manual() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "OPERATIONS.md").read_text("utf-8")
    assert [name for name in main.list_commands(click.Context(main))
            if not re.search(rf"(?:python -m bot |`){name}\b", manual)] == []


def test_the_parts_named_in_the_contracts_are_there() -> None:
    wanted = {"up", "web", "worker", "clock", "migrate", "doctor", "demo", "ledger check", "order send", "menu push"}
    assert {f"bot {name}" for name in wanted} <= set(ALL)


@pytest.mark.parametrize("command", ["up", "web", "clock", "migrate", "demo", "doctor"])
def test_faulty_settings_end_every_command_with_all_faults(command: str, tmp_path: Path) -> None:
    result = run(tmp_path, command, PORT="x", WEB_WORKERS="y")
    assert result.exit_code in (1, 2) and "PORT" in result.output and "WEB_WORKERS" in result.output
    assert "Traceback" not in result.output


def test_the_demo_is_refused_for_a_real_shop(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[shop]\nname = "x"\n')
    result = run(tmp_path, "demo", HUITOU_ACCOUNTS=str(accounts))
    assert result.exit_code == 1 and "nothing was changed" in result.output


def test_the_keys_of_the_demo_are_printed_for_whoever_tries_the_api(tmp_path: Path) -> None:
    mall = load({"HUITOU_HOME": str(tmp_path)}, tmp_path).api["mall"]
    api_key, secret = mall.api_key.reveal(), mall.webhook_secrets[0].reveal()
    given = json.loads(run(tmp_path, "demo", "--keys", "--json", PORT="8123").stdout)
    assert (given["source"], given["webhook_secret"], given["api_key"]) == ("mall", secret, api_key)
    assert given["events_url"] == "http://127.0.0.1:8123/api/v1/events/mall"
    text = run(tmp_path, "demo", "--keys", PORT="8123").stdout
    assert secret in text and f"{given['example']}\n" in text
    assert given["example"] == f'curl -H "Authorization: Bearer {api_key}" http://127.0.0.1:8123/api/v1/ledger/check'


def test_a_command_beside_the_service_looks_for_it_where_it_was_last_started(tmp_path: Path) -> None:
    def keys(**env: str) -> str:
        return str(json.loads(run(tmp_path, "demo", "--keys", "--json", **env).stdout)["events_url"])

    for written, found in (("", 8000), ("no number", 8000), ("9\n", 9)):
        (tmp_path / "port").write_text(written)
        assert keys() == f"http://127.0.0.1:{found}/api/v1/events/mall"
    assert keys(PORT="8124") == "http://127.0.0.1:8124/api/v1/events/mall"
    sent = run(tmp_path, "order", "send", "--buyer-openid", "oNobody")
    assert sent.exit_code == 1 and "no answer from http://127.0.0.1:9/" in sent.output


@pytest.mark.parametrize(("demo", "sentence"), [("0", "this is not a demo"), ("1", "names an accounts file")])
def test_keys_of_a_real_shop_are_never_printed(demo: str, sentence: str, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[shop]\nname = "x"\n[api.mall]\napi_key = "canary-key"\n'
                        'webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"\n')
    result = run(tmp_path, "demo", "--keys", HUITOU_ACCOUNTS=str(accounts), HUITOU_DEMO=demo)
    assert result.exit_code == 1 and sentence in result.output
    assert "canary" not in result.output and "MfKQ9r8" not in result.output


def test_json_of_the_demo_goes_with_its_keys(tmp_path: Path) -> None:
    assert run(tmp_path, "demo", "--json").exit_code == 2


def test_times_are_printed_as_the_api_gives_them(database_url: str, tmp_path: Path) -> None:
    result = run(tmp_path, "ledger", "check", "--json", DATABASE_URL=database_url)
    stamp = json.loads(result.stdout)["checked_at"]
    assert result.exit_code == 0 and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", stamp)
    shown = run(tmp_path, "ledger", "check", DATABASE_URL=database_url).stdout
    assert re.search(r"checked_at +\S+T\S+Z\nfaults +none\n", shown)


def test_a_database_that_is_away_is_told_in_a_sentence(tmp_path: Path) -> None:
    result = run(tmp_path, "ledger", "check", DATABASE_URL="postgresql://nobody:sesame@127.0.0.1:9/none")
    assert result.exit_code == 1 and "the database is not there" in result.output and "sesame" not in result.output


def test_signatures_are_those_of_the_standard() -> None:
    secret, body = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), b'{"a":1}'
    headers = signed_headers(secret, "msg_1", int(time.time()), body)
    assert Webhook(secret.reveal()).verify(body, headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(b'{"a":2}', headers)


class _Mall(BaseHTTPRequestHandler):
    """Takes what the command sends."""

    taken: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b'{"accepted":1,"duplicate":0}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mall() -> Iterator[HTTPServer]:
    _Mall.taken = []
    with HTTPServer(("127.0.0.1", 0), _Mall) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_order_send_sends_signed_events_as_often_as_asked(mall: HTTPServer, tmp_path: Path) -> None:
    result = run(tmp_path, "order", "send", "--url", f"http://127.0.0.1:{mall.server_port}", "--buyer-openid", "oX",
                 "--order-id", "A1", "--fen", "9900", "--quantity", "2", "--share-code", "k7Qm2x", "--refund", "3300",
                 "--receive", "--dup", "3", "--shuffle", "--json")
    assert result.exit_code == 0
    secret = load({"HUITOU_HOME": str(tmp_path)}, tmp_path).api["mall"].webhook_secrets[0].reveal()
    events = [Webhook(secret).verify(body, headers) for _, headers, body in _Mall.taken]
    assert {path for path, _, _ in _Mall.taken} == {"/api/v1/events/mall"}
    assert sorted(event["type"] for event in events) == [
        *["order.paid"] * 3, *["order.received"] * 3, *["order.refunded"] * 3]
    assert len({event["id"] for event in events}) == 3, "duplicates carry the same id"
    paid = next(event["data"] for event in events if event["type"] == "order.paid")
    assert (paid["paid_fen"], paid["lines"][0]["quantity"], paid["share_code"]) == (9900, 2, "k7Qm2x")
    assert paid["buyer"] == {"openid": "oX", "app_id": "wxde300000000000d1"}
    assert {row["status"] for row in json.loads(result.output)} == {202}


def test_order_send_says_when_nobody_answers(tmp_path: Path) -> None:
    result = run(tmp_path, "order", "send", "--url", "http://127.0.0.1:9", "--buyer-openid", "oX")
    assert result.exit_code == 1 and "no answer" in result.output


def test_order_send_knows_only_systems_of_the_settings(tmp_path: Path) -> None:
    assert run(tmp_path, "order", "send", "--buyer-openid", "oX", "--source", "nobody").exit_code == 2
