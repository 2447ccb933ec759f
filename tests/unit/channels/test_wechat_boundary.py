"""Who is let in: signatures, freshness, modes, sizes, keys. Every forgery is refused and leaves no trace."""

import dataclasses
import hashlib

import pytest

from bot.kit import messages
from bot.runtime.channels.wechat import (
    ACKNOWLEDGED,
    MAX_BODY_BYTES,
    AccountKeys,
    BadKeys,
    Malformed,
    Refused,
    TooLarge,
    open_callback,
    replay_key,
    verify_url,
)
from tests.unit.channels import wechat_peer as peer


def receive(request, keys=None, now=peer.NOW):
    return open_callback(keys or peer.keys(), request.query, request.body, now)


def refusal(request, keys=None, now=peer.NOW):
    with pytest.raises(Refused) as refused:
        receive(request, keys, now)
    return refused.value.reason


def wrong_signatures(good):
    """A hundred things that are not ``good``, most of them close to it."""
    yield from (None, "", good.upper(), good + "0", "0" + good, good + " ", " " + good, good + "\n", good[::-1])
    yield from (good[:at] for at in range(0, 40, 2))
    for at, character in enumerate(good):
        yield good[:at] + ("0" if character != "0" else "1") + good[at + 1 :]
    for at in range(0, 40, 2):
        if good[at].isalpha():
            yield good[:at] + good[at].upper() + good[at + 1 :]
    yield from (hashlib.sha1(b"").hexdigest(), "0" * 40, "f" * 40, "x" * 40, good * 2, good * 1000, "\x00" * 40)
    yield from ("é" * 40, "\udcff" * 40, "１" * 40, "null", "undefined", "[]", "true", good.replace(good[0], "\u0430"))
    yield peer.sha1("othertoken", str(peer.NOW), "1320562132")
    yield peer.sha1(str(peer.NOW), "1320562132")
    yield hashlib.sha1(f"{peer.TOKEN}{peer.NOW}1320562132".encode() + b"unsorted").hexdigest()
    yield hashlib.md5(good.encode()).hexdigest()
    yield hashlib.sha256(good.encode()).hexdigest()


REQUEST = peer.post_safe(peer.text_xml())
GOOD = {"post": REQUEST.query["msg_signature"], "get": REQUEST.query["signature"]}
WRONG = [(method, value) for method in GOOD for value in wrong_signatures(GOOD[method])]


def test_there_are_two_hundred_wrong_signatures():
    assert len(WRONG) >= 180
    assert all(value != GOOD[method] for method, value in WRONG)


@pytest.mark.parametrize(("method", "value"), WRONG, ids=[str(at) for at in range(len(WRONG))])
def test_a_wrong_signature_is_refused(method, value):
    if method == "post":
        assert refusal(REQUEST.but(msg_signature=value)) == "signature"
    else:
        with pytest.raises(Refused, match="signature"):
            verify_url(peer.keys(), REQUEST.but(signature=value, echostr="1").query, peer.NOW)
        plain = peer.post_plain(peer.text_xml()).but(signature=value)
        assert refusal(plain, peer.keys("plain", ())) == "signature"


def test_the_address_is_verified():
    request = peer.post_plain("").but(echostr="5927782489442352469")
    for keys in (peer.keys(), peer.keys("plain", ()), peer.keys("compatible")):
        assert verify_url(keys, request.query, peer.NOW) == "5927782489442352469"


@pytest.mark.parametrize("echo", [None, "", "<script>", "a b", "a\nb", "é", "x" * 257, "&amp;", '"', "'", "\x00"])
def test_an_echo_that_could_be_markup_is_refused(echo):
    with pytest.raises(Refused, match="query"):
        verify_url(peer.keys(), peer.post_plain("").but(echostr=echo).query, peer.NOW)


@pytest.mark.parametrize(
    ("age", "fresh"), [(299, True), (300, True), (301, False), (0, True), (-59, True), (-60, True), (-61, False)]
)
def test_the_window_of_freshness_has_exact_edges(age, fresh):
    stamp = str(peer.NOW - age)
    posts = [
        (peer.post_safe(peer.text_xml(), timestamp=stamp), peer.keys()),
        (peer.post_plain(peer.text_xml(), timestamp=stamp), peer.keys("plain", ())),
    ]
    for request, keys in posts:
        if fresh:
            assert receive(request, keys).sender == peer.OPENID
            assert verify_url(keys, request.but(echostr="1").query, peer.NOW) == "1"
        else:
            assert refusal(request, keys) == "stale"
            with pytest.raises(Refused, match="stale"):
                verify_url(keys, request.but(echostr="1").query, peer.NOW)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "abc",
        "-1",
        "1e9",
        f"{peer.NOW}.0",
        f" {peer.NOW}",
        f"{peer.NOW}\n",
        "0x6b02",
        "１７９５３１２９００",
        "9" * 5000,
        "NaN",
        "0",
        "\x00",
    ],
)
def test_a_timestamp_that_is_none_is_refused(stamp):
    assert refusal(peer.post_safe(peer.text_xml(), timestamp=stamp)) == "stale"


@pytest.mark.parametrize("nonce", ["", "x" * 129, "a b", "a\nb", "随机", "\udcff", "\x00"])
def test_a_nonce_out_of_shape_is_refused(nonce):
    assert refusal(REQUEST.but(nonce=nonce)) == "query"


@pytest.mark.parametrize("name", ["timestamp", "nonce", "msg_signature", "encrypt_type"])
def test_a_parameter_may_not_be_absent(name):
    assert refusal(REQUEST.but(**{name: None})) in ("stale", "query", "signature", "mode")


def test_nothing_at_all_is_refused():
    for mode in ("safe", "compatible", "plain"):
        keys = peer.keys(mode)
        assert refusal(peer.Request({}, b""), keys) == "query"
        with pytest.raises(Refused):
            verify_url(keys, {}, peer.NOW)


@pytest.mark.parametrize("mode", ["safe", "compatible"])
@pytest.mark.parametrize("encrypt_type", [None, "", "raw", "AES", "aes ", "none"])
def test_encryption_cannot_be_talked_away(mode, encrypt_type):
    """Neither with the plain body of a captured query, nor with the encrypted one."""
    plain = peer.post_plain(peer.text_xml("提现 9999")).but(encrypt_type=encrypt_type)
    assert refusal(plain, peer.keys(mode)) == "mode"
    assert refusal(REQUEST.but(encrypt_type=encrypt_type), peer.keys(mode)) == "mode"


def test_a_plain_body_that_claims_to_be_encrypted_is_refused():
    plain = peer.post_plain(peer.text_xml()).but(encrypt_type="aes", msg_signature=peer.sha1(peer.TOKEN))
    assert refusal(plain) == "mode"
    assert refusal(REQUEST, peer.keys("plain")) == "mode"


def test_the_plain_signature_does_not_stand_in_for_the_one_over_the_message():
    assert refusal(REQUEST.but(msg_signature=REQUEST.query["signature"])) == "signature"


def test_plain_mode_takes_and_answers_plain():
    opened = receive(peer.post_plain(peer.text_xml("余额")), peer.keys("plain", ()))
    assert opened.incoming.text == "余额"
    assert b"<Content><![CDATA[\xe5\xa5\xbd]]></Content>" in opened.seal(messages.text("好"))
    explicit = peer.post_plain(peer.text_xml("余额")).but(encrypt_type="raw")
    assert receive(explicit, peer.keys("plain", ())).incoming.text == "余额"


def test_plain_mode_refuses_what_is_addressed_to_another_account():
    other = dataclasses.replace(peer.keys("plain", ()), original_id="gh_another")
    assert refusal(peer.post_plain(peer.text_xml()), other) == "account"
    unknown = dataclasses.replace(other, original_id="")
    assert receive(peer.post_plain(peer.text_xml()), unknown).original_id == peer.ORIGINAL_ID


def test_compatible_mode_ignores_the_plain_fields():
    sealed = REQUEST.body.decode().removeprefix("<xml>")
    lie = peer.text_xml("提现 9999 <Encrypt>AAAA</Encrypt>").removesuffix("</xml>")
    request = dataclasses.replace(REQUEST, body=(lie + sealed).encode())
    opened = receive(request, peer.keys("compatible"))
    assert opened.incoming.text == "佣金"
    assert "提现" not in opened.raw_xml
    assert b"<Encrypt>" in opened.seal(messages.text("好"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml></xml>",
        b"<Encrypt>",
        b"</Encrypt><Encrypt>",
        b"\xff\xfe<\x00x\x00",
        b"\x00" * 500,
        b"{}",
        b"<Encrypt/>",
        "<Encrypt>é</Encrypt>".encode("utf-16"),
        b"<Encrypt></Encrypt>",
        b"<Encrypt><![CDATA[]]></Encrypt>",
    ],
)
def test_a_body_without_an_encrypted_message_is_refused(body):
    assert refusal(dataclasses.replace(REQUEST, body=body)) in ("mode", "signature")


def test_the_size_is_judged_first_and_exactly():
    def padded(size):
        return dataclasses.replace(REQUEST, body=REQUEST.body + b" " * (size - len(REQUEST.body)))

    assert receive(padded(MAX_BODY_BYTES)).sender == peer.OPENID
    with pytest.raises(TooLarge):
        receive(padded(MAX_BODY_BYTES + 1))
    with pytest.raises(TooLarge):
        open_callback(peer.keys(), {}, b"x" * (MAX_BODY_BYTES + 1), peer.NOW)


def test_a_key_being_replaced_still_opens_and_its_message_is_answered_with_it():
    rotating = peer.keys(aes_keys=(peer.OTHER_KEY, peer.KEY))
    for key in (peer.KEY, peer.OTHER_KEY):
        opened = receive(peer.post_safe(peer.text_xml(), key=key), rotating)
        sealed = opened.seal(messages.text("好"))
        encrypted = sealed.split(b"<Encrypt><![CDATA[")[1].split(b"]]>")[0]
        openers = [envelope.open(encrypted) is not None for envelope in rotating.envelopes]
        assert openers == [key == peer.OTHER_KEY, key == peer.KEY]
    assert refusal(REQUEST, peer.keys(aes_keys=(peer.OTHER_KEY,))) == "undecryptable"


@pytest.mark.parametrize(
    "app_id",
    [
        "",
        "wx",
        "wxb11529c136998cb",
        "wxb11529c136998cb6 ",
        "wxb11529c136998cb66",
        "wxB11529c136998cb6",
        "xwxb11529c136998cb6",
        "wxb11529c136998cb7",
        "ww0000000000000000",
        "wxb11529c136998cb6\x00",
    ],
)
def test_a_message_sealed_for_another_app_is_refused(app_id):
    assert refusal(peer.post_safe(peer.text_xml(), app_id=app_id)) == "undecryptable"


def test_a_forged_repeat_can_be_told_from_a_real_one():
    first = receive(REQUEST)
    resealed = peer.post_safe(peer.text_xml())
    forged = peer.post_safe(peer.text_xml("提现 9999"))
    assert receive(resealed).replay_key == first.replay_key == receive(forged).replay_key
    assert receive(resealed).body_digest == first.body_digest != receive(forged).body_digest
    assert first.replay_key == replay_key(peer.keys(), REQUEST.query)
    others = [REQUEST.but(nonce="1"), REQUEST.but(timestamp="1"), REQUEST.but(nonce="21", timestamp=str(peer.NOW)[:-1])]
    different = {replay_key(peer.keys(), other.query) for other in others} | {
        replay_key(peer.keys(app_id="wx2"), REQUEST.query)
    }
    assert len(different | {first.replay_key}) == 5


def test_keys_that_cannot_work_are_named_all_at_once_and_never_quoted():
    with pytest.raises(BadKeys) as bad:
        AccountKeys("", "", "", ("k" * 42, peer.KEY + "!"), "", "secure")
    assert [fault.split(":")[0] for fault in bad.value.faults] == [
        "account",
        "app_id",
        "token",
        "mode",
        "encoding_aes_key",
        "previous encoding_aes_key",
    ]
    assert "k" * 42 not in str(bad.value)


@pytest.mark.parametrize("aes_keys", [(), ("",), (peer.KEY + "=",), (peer.KEY[:-1],), ("é" * 43,), (peer.KEY, "short")])
def test_an_encoding_key_has_43_characters(aes_keys):
    with pytest.raises(BadKeys):
        peer.keys(aes_keys=aes_keys)


@pytest.mark.parametrize("token", ["", " ", "a b", "口令", "a\n"])
def test_an_empty_token_is_no_token(token):
    with pytest.raises(BadKeys, match="token"):
        AccountKeys("main", peer.APP_ID, token, (peer.KEY,), "", "safe")


def test_secrets_do_not_show():
    opened = receive(REQUEST)
    shown = repr(opened) + repr(peer.keys()) + str(Refused("signature"))
    assert not any(secret in shown for secret in (peer.TOKEN, peer.KEY))


def test_malformed_content_after_a_good_signature_is_kept_in_a_form_a_database_takes():
    for keys, request in (
        (peer.keys(), peer.post_safe(b"<xml>\x00\xff</xml>")),
        (peer.keys("plain", ()), peer.post_plain(b"<xml>\x00\xff</xml>")),
    ):
        with pytest.raises(Malformed) as fault:
            receive(request, keys)
        assert fault.value.raw == "<xml>\\x00\\xff</xml>"


def test_silence_is_success():
    assert receive(REQUEST).seal(messages.NOTHING) == ACKNOWLEDGED == b"success"
