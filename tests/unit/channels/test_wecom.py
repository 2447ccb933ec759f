"""The WeCom callback at its boundary: published vectors, the platform's samples, and all that must be refused."""

import base64

import pytest

from bot.kit.messages import NOTHING, text
from bot.runtime.channels.wecom import AppKeys, BadKeys, Malformed, Refused, TooLarge, open_callback, verify_url
from tests.fakes.wecom_wire import SAMPLES, Wire, xml

NOW = 1_795_312_900
WIRE = Wire("ww0test000corp0001", "pamtest", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
OLD = Wire(WIRE.corp_id, WIRE.token, "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR")
KEYS = AppKeys("main", WIRE.corp_id, WIRE.token, (WIRE.encoding_aes_key,))


def receive(plain, keys=KEYS, wire=WIRE, at=NOW, **how):
    encrypted = wire.seal(plain, **how)
    body = f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()
    return open_callback(keys, wire.query(encrypted, at=at), body, NOW)


def refusal(work, *args, **how):
    with pytest.raises(Refused) as refused:
        work(*args, **how)
    return refused.value.reason


@pytest.mark.parametrize("vector", SAMPLES["crypto_vectors"], ids=lambda one: one["corp_id"])
def test_published_vectors_verify(vector):
    keys = AppKeys("main", vector["corp_id"], vector["token"], (vector["encoding_aes_key"],))
    query = {name: vector[name] for name in ("msg_signature", "timestamp", "nonce")} | {"echostr": vector["encrypted"]}
    assert verify_url(keys, query, int(vector["timestamp"])) == vector["expected_plaintext"]


@pytest.mark.parametrize("vector", SAMPLES["crypto_vectors"], ids=lambda one: one["corp_id"])
@pytest.mark.parametrize(("field", "value", "reason"), [
    ("msg_signature", "0" * 40, "signature"), ("msg_signature", "", "signature"), ("nonce", "", "query"),
    ("timestamp", "x", "stale"), ("echostr", "", "query"), ("echostr", "é", "query"), ("echostr", "QUJD", "signature"),
])
def test_a_changed_verification_is_refused(vector, field, value, reason):
    keys = AppKeys("main", vector["corp_id"], vector["token"], (vector["encoding_aes_key"],))
    query = {name: vector[name] for name in ("msg_signature", "timestamp", "nonce")} | {"echostr": vector["encrypted"]}
    assert refusal(verify_url, keys, query | {field: value}, int(vector["timestamp"])) == reason


def test_another_corps_echo_is_refused():
    echo = WIRE.seal("1234567890", receive_id="ww0other000corp001")
    assert refusal(verify_url, KEYS, WIRE.query(echo, at=NOW) | {"echostr": echo}, NOW) == "undecryptable"


@pytest.mark.parametrize("cipher", ["!!!!", "QUJD", "", base64.b64encode(b"x" * 64).decode()])
def test_a_bad_ciphertext_under_a_good_signature_is_refused(cipher):
    body = f"<xml><Encrypt><![CDATA[{cipher}]]></Encrypt></xml>".encode()
    assert refusal(open_callback, KEYS, WIRE.query(cipher, at=NOW), body, NOW) == "undecryptable"


@pytest.mark.parametrize("body", [b"", b"not xml", b"<xml></xml>", b"<xml><Encrypt>x</Encrypt></xml>"])
def test_a_body_without_a_signed_cipher_is_refused(body):
    assert refusal(open_callback, KEYS, WIRE.query("y", at=NOW), body, NOW) in ("mode", "signature")


def test_old_and_future_stamps_are_refused_and_a_large_body_is_too_large():
    plain = SAMPLES["events"]["employee_text"]
    assert refusal(receive, plain, at=NOW - 301) == refusal(receive, plain, at=NOW + 61) == "stale"
    with pytest.raises(TooLarge):
        open_callback(KEYS, {}, b"x" * (64 * 1024 + 1), NOW)


def test_the_old_key_works_while_it_is_replaced_and_answers_with_itself():
    both = AppKeys("main", WIRE.corp_id, WIRE.token, (WIRE.encoding_aes_key, OLD.encoding_aes_key))
    for wire in (WIRE, OLD):
        opened = receive(SAMPLES["events"]["employee_text"], both, wire)
        assert wire.read(opened.seal(text("好")))["Content"] == "好"
    assert refusal(receive, SAMPLES["events"]["employee_text"], KEYS, OLD) == "undecryptable"


def test_an_employee_is_answered_and_silence_is_success():
    opened = receive(SAMPLES["events"]["employee_text"])
    told = WIRE.read(opened.seal(text("收到 ]]> <b>&")))
    assert told | {"CreateTime": ""} == {"ToUserName": "seller01", "FromUserName": WIRE.corp_id, "MsgType": "text",
                                         "Content": "收到 ]]> <b>&", "CreateTime": ""}
    assert opened.seal(NOTHING) == b"success"
    event = receive(SAMPLES["events"]["add_external_contact"])
    assert event.seal(text("nobody would see it")) == b"success"


CONTACT = {
    "add_external_contact": ("contact_added", "c7f2k9", {"welcome_code": "WC_TEST_0001"}),
    "add_external_contact_no_welcome_code": ("contact_added", "", {}),
    "add_half_external_contact": ("contact_half_added", "c7f2k9", {"welcome_code": "WC_TEST_0003"}),
    "edit_external_contact": ("contact_edited", "c7f2k9", {}),
    "del_external_contact": ("contact_removed", "", {}),
    "del_follow_user": ("contact_left", "", {}),
    "transfer_fail_refused": ("contact_transfer_failed", "", {"fail_reason": "customer_refused"}),
    "transfer_fail_limit": ("contact_transfer_failed", "", {"fail_reason": "customer_limit_exceed"}),
}


@pytest.mark.parametrize("name", CONTACT)
def test_what_happens_to_a_contact(name):
    event, state, data = CONTACT[name]
    one = receive(SAMPLES["events"][name]).incoming
    assert (one.channel, one.account, one.kind, one.event, one.key) == ("wecom", "wecom:main", "event", event, state)
    assert one.sender == "wmTESTcust000000000000000000001"
    assert one.data == {"userid": "seller01", **data}
    assert one.sent_at.timestamp() == 1_700_000_000


@pytest.mark.parametrize("name", sorted(SAMPLES["events"].keys() - CONTACT.keys()))
def test_every_other_sample_is_understood(name):
    one = receive(SAMPLES["events"][name]).incoming
    employee = name in ("enter_agent", "menu_click", "employee_text")
    assert one.sender == ("seller01" if employee else "")
    assert (one.kind, one.event) == {
        "employee_text": ("text", ""), "enter_agent": ("event", "enter"), "menu_click": ("event", "menu"),
    }.get(name, ("event", "other"))


def test_two_customers_of_one_second_are_two_events_and_a_resend_is_one():
    first = SAMPLES["events"]["add_external_contact"]
    second = first.replace("0000000001]]", "0000000002]]")
    keys = {receive(plain, random=random).incoming.dedupe_key
            for plain in (first, second) for random in (b"fedcba9876543210", b"0123456789abcdef")}
    assert len(keys) == 2
    assert receive(SAMPLES["events"]["employee_text"]).incoming.dedupe_key == "msg:7000000000000000001"


@pytest.mark.parametrize("plain", [
    "", "{}", "<xml></xml>", "<xml><MsgType>event</MsgType></xml>", xml(MsgType="text", FromUserName="a", CreateTime=1),
    SAMPLES["events"]["add_external_contact"].replace("seller01", "a b"),
    SAMPLES["events"]["add_external_contact"].replace("wmTEST", "<b>"),
    SAMPLES["events"]["employee_text"].replace("7000000000000000001", "x"),
    SAMPLES["events"]["employee_text"].replace("1700000000", "-1"),
])
def test_what_nobody_could_use_is_malformed(plain):
    with pytest.raises(Malformed):
        receive(plain)


def test_an_odd_state_is_nobodys_and_a_userid_is_in_small_letters():
    event = SAMPLES["events"]["add_external_contact"]
    assert receive(event.replace("c7f2k9", "x" * 65)).incoming.key == ""
    assert receive(event.replace("seller01", "Seller01")).incoming.data["userid"] == "seller01"


def test_keys_that_cannot_work_are_named_and_never_quoted():
    with pytest.raises(BadKeys) as bad:
        AppKeys("", "", "", ("k" * 42,))
    assert [fault.split(":")[0] for fault in bad.value.faults] == ["account", "corp_id", "token", "encoding_aes_key"]
    assert "k" * 42 not in str(bad.value)
    with pytest.raises(BadKeys):
        AppKeys("main", "ww1", "token", ())
    assert WIRE.encoding_aes_key not in repr(KEYS)
    assert WIRE.token not in repr(KEYS)
