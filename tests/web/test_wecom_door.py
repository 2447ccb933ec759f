"""WeCom's door over HTTP: verification, employees, and what it answers to everything that is not a good message."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Shop
from tests.fakes.wecom_wire import SAMPLES, Wire

URL = "/wecom/main"


@pytest.fixture
def shop(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def wire(shop: Shop) -> Wire:
    account = shop.runtime.settings.wecom["main"]
    return Wire(account.corp_id, account.token.reveal(), account.encoding_aes_key.reveal())


def rows(shop: Shop) -> list[tuple[str, str, int | None]]:
    with shop.runtime.sessions() as session:
        return [tuple(row) for row in session.execute(text(
            "select state, kind, person_id from inbox_message where account = 'wecom:main' order by id"))]


def test_the_address_is_verified_with_the_decrypted_echo_alone(shop: Shop, wire: Wire):
    echo = wire.seal("1288432023552776189")
    answer = shop.client.get(URL, query_string=wire.query(echo) | {"echostr": echo})
    assert (answer.status_code, answer.data) == (200, b"1288432023552776189")
    assert shop.client.get(URL, query_string=wire.query("x") | {"echostr": echo}).status_code == 403
    assert shop.client.get(URL).status_code == 403
    assert shop.client.get("/wecom/other").status_code == 404


def test_an_employee_is_told_where_words_belong_and_a_retry_gets_the_same_answer(shop: Shop, wire: Wire):
    query, body = wire.post(SAMPLES["events"]["employee_text"])
    first, again = (shop.client.post(URL, query_string=query, data=body) for _ in range(2))
    assert "seller01" in wire.read(first.data)["Content"]
    assert "公众号" in wire.read(first.data)["Content"]
    assert wire.read(first.data)["Content"] == wire.read(again.data)["Content"]
    assert rows(shop) == [("done", "text", None)]


def test_bad_input_never_gets_a_5xx(shop: Shop, wire: Wire):
    query, body = wire.post(SAMPLES["events"]["employee_text"])
    assert shop.client.post(URL, query_string=query | {"msg_signature": "0" * 40}, data=body).status_code == 403
    assert shop.client.post(URL, query_string=query, data=b"x").status_code == 403
    assert shop.client.post(URL, query_string=query, data=b"x" * 70_000).status_code == 413
    assert shop.client.post("/wecom/other", query_string=query, data=body).status_code == 404
    query, body = wire.post("<xml><MsgType>event</MsgType><Event>change_external_contact</Event></xml>")
    query2, body2 = wire.post("<xml><a>")
    for one in ((query, body), (query2, body2)):
        answer = shop.client.post(URL, query_string=one[0], data=one[1])
        assert (answer.status_code, answer.data) == (200, b"success")
    assert [state for state, _, _ in rows(shop)] == ["quarantined", "quarantined"]


def test_events_that_nobody_handles_are_kept_and_acknowledged(shop: Shop, wire: Wire):
    names = ("chat_create", "tag_create", "kf_msg_or_event", "enter_agent", "menu_click", "acquisition_balance_low")
    for name in names:
        query, body = wire.post(SAMPLES["events"][name])
        assert shop.client.post(URL, query_string=query, data=body).data == b"success"
    assert [state for state, _, _ in rows(shop)] == ["done"] * len(names)
