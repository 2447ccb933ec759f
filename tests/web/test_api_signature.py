"""The signature: the standard's own vectors, its Python library as an oracle, and everything malformed."""

import base64
import json
import time
from pathlib import Path

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from handlers.web.api import signature
from tests.examples import examples
from tests.web.mall import SECRET, mac

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "standard_webhooks.json").read_text())
SIGN = VECTORS["sign"]
KEY = signature.decode_secret(SIGN["secret"])
BODY = SIGN["payload"].encode()


def verify(header: str | None, *, keys: tuple[bytes, ...] = (KEY,), name: str | None = SIGN["id"],
           timestamp: str | None = str(SIGN["timestamp"]), body: bytes = BODY, now: float = SIGN["timestamp"]) -> None:
    signature.verify(keys, name, timestamp, header, body, now)


def test_signs_as_the_published_vector() -> None:
    assert signature.sign(KEY, SIGN["id"], SIGN["timestamp"], BODY) == SIGN["signature"]
    verify(SIGN["signature"])


def test_one_good_signature_among_foreign_ones_is_enough() -> None:
    first, second = VECTORS["foreign_signatures"]
    verify(" ".join([first, second, SIGN["signature"], first]))
    with pytest.raises(signature.SignatureRefused):
        verify(f"{first} {second}")


def test_any_live_secret_may_have_signed() -> None:
    verify(SIGN["signature"], keys=(b"the new one", KEY))
    verify(SIGN["signature"], keys=(KEY, b"the old one"))
    with pytest.raises(signature.SignatureRefused):
        verify(SIGN["signature"], keys=(b"the new one", b"the old one"))


@pytest.mark.parametrize("header", VECTORS["refused_signatures"] + [
    None, ",", ",,", "v1", "v1,,", "v1,!!!!", "v1,é", "\xff", "v1," + "A" * 43, "V1" + SIGN["signature"][2:],
    SIGN["signature"].upper(), SIGN["signature"].lower(), SIGN["signature"][:-2], "x" + SIGN["signature"],
    SIGN["signature"].replace(",", ", "), SIGN["signature"].replace(",", "，"), "v1a" + SIGN["signature"][2:],
    SIGN["signature"] + "\x00", "v1,\ud800",
])
def test_other_signatures_are_refused(header: str | None) -> None:
    with pytest.raises(signature.SignatureRefused):
        verify(header)


@pytest.mark.parametrize("off", [-301, -300, -299, 0, 299, 300, 301])
def test_the_tolerance_holds_both_ways(off: int) -> None:
    now = SIGN["timestamp"] + off
    if abs(off) <= VECTORS["tolerance_seconds"]:
        verify(SIGN["signature"], now=now)
    else:
        with pytest.raises(signature.SignatureRefused):
            verify(SIGN["signature"], now=now)


@pytest.mark.parametrize("timestamp", [
    None, "", "hello", "-1614265330", "+1614265330", "1614265330.0", "1614265330 ", "1e9", "NaN",
    "１６１４２６５３３０", "9" * 400, "0x6037", "\x00",
])
def test_timestamps_are_plain_numbers(timestamp: str | None) -> None:
    good = mac(SECRET, SIGN["id"], timestamp or "", BODY)
    with pytest.raises(signature.SignatureRefused):
        verify(good, timestamp=timestamp)


@pytest.mark.parametrize("name", [None, "", "a.b", "a b", "naïve", "a\nb", "x" * 257])
def test_ids_that_could_be_read_two_ways_are_refused(name: str | None) -> None:
    good = mac(SECRET, name or "", str(SIGN["timestamp"]), BODY)
    with pytest.raises(signature.SignatureRefused):
        verify(good, name=name)


def test_what_is_signed_cannot_be_shifted_between_its_parts() -> None:
    good = mac(SECRET, "a", "1614265330", b"2.body")
    with pytest.raises(signature.SignatureRefused):
        verify(good, name="a.1614265330", timestamp="2", body=b"body", now=2)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", "whsec_!!!!", "whsec_A"])
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        signature.decode_secret(secret)


bodies = st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)
names = st.text("abcXYZ019_-", min_size=1, max_size=40)
secrets = st.binary(min_size=16, max_size=64)


@examples(50)
@given(body=bodies, name=names, key=secrets, other=secrets, off=st.integers(-400, 400), flip=st.booleans())
def test_agrees_with_the_standards_library(
    body: bytes, name: str, key: bytes, other: bytes, off: int, flip: bool
) -> None:
    at = int(time.time())
    if 295 <= abs(off) <= 305:
        off = 0  # the library reads the clock itself: stay away from the edge
    header = signature.sign(other if flip else key, name, at + off, body)
    headers = {"webhook-id": name, "webhook-timestamp": str(at + off), "webhook-signature": header}
    oracle = standardwebhooks.Webhook("whsec_" + base64.b64encode(key).decode())
    try:
        oracle.verify(body, headers, json_parse=False)
        expected = True
    except standardwebhooks.WebhookVerificationError:
        expected = False
    try:
        signature.verify((key,), name, str(at + off), header, body, at)
        found = True
    except signature.SignatureRefused:
        found = False
    assert found == expected


@examples(100)
@given(header=st.one_of(st.text(), st.text("v1, =+/AZaz09")), name=st.text(), timestamp=st.text())
def test_nothing_but_a_refusal_comes_out(header: str, name: str, timestamp: str) -> None:
    with pytest.raises(signature.SignatureRefused):
        signature.verify((KEY,), name, timestamp, header, b"{}", time.time())
