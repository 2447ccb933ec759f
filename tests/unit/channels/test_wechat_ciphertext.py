"""Damaged ciphertexts, signed as if by someone who knows the token: nothing opens, and all faults look alike."""

import base64
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from bot.runtime.channels.crypto import Envelope
from bot.runtime.channels.wechat import Malformed, Refused, open_callback
from tests.unit.channels import wechat_peer as peer

MESSAGE = peer.text_xml().encode()
SEALED = peer.aes(peer.pad32(peer.frame(MESSAGE)))


def outcome(sealed):
    """The type and reason that a signed request around these bytes ends in; a forgery must end in one."""
    encoded = sealed if isinstance(sealed, str) else base64.b64encode(sealed).decode()
    request = peer.post_encrypted(encoded)
    with pytest.raises((Refused, Malformed)) as fault:
        open_callback(peer.keys(), request.query, request.body, peer.NOW)
    return type(fault.value), fault.value.reason


UNDECRYPTABLE = (Refused, "undecryptable")


def test_the_undamaged_one_opens():
    assert Envelope(peer.KEY, peer.APP_ID).open(base64.b64encode(SEALED)) == MESSAGE


@pytest.mark.parametrize("cut", range(1, 33))
def test_a_cut_ciphertext_is_refused(cut):
    assert outcome(SEALED[:-cut]) == UNDECRYPTABLE
    assert outcome(SEALED[cut:]) == UNDECRYPTABLE


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 48, 64])
def test_too_little_is_refused(size):
    assert outcome(SEALED[:size]) == UNDECRYPTABLE
    assert outcome(peer.aes(b"\x20" * (size // 16 * 16))) == UNDECRYPTABLE


@pytest.mark.parametrize(
    "text", ["!!!!", "é", "AAAA=AAAA", "=", "====", "A", "AAAAA", "QUJD\nQUJD", "QUJD QUJD", "-_-_", "<x/>"]
)
def test_what_is_not_base64_is_refused(text):
    assert outcome(text) == UNDECRYPTABLE


def paddings():
    """Last bytes that are no PKCS#7 padding to 32: none, too long, or not all alike."""
    body = peer.frame(MESSAGE)
    room = 32 - len(body) % 32
    yield body + b"\x00" * room
    yield body + bytes([33]) * room
    yield body + b"\xff" * room
    yield body + b"\x41" * room
    yield body + bytes([room]) * (room - 1) + bytes([room - 1 or 32])
    yield body + bytes([room - 1]) + bytes([room]) * (room - 1)
    yield body + bytes([room]) * room + b"\x10" * 16
    yield body[: len(body) - len(body) % 32] + b"\x20" * 31 + b"\x1f"
    yield body + b"\x00" * (room - 1) + bytes([room])
    yield body + bytes([room + 32]) * (room + 32)


@pytest.mark.parametrize("plain", list(paddings()), ids=lambda plain: plain[-8:].hex())
def test_a_wrong_padding_is_refused(plain):
    assert outcome(peer.aes(plain[: len(plain) - len(plain) % 16])) == UNDECRYPTABLE


@pytest.mark.parametrize(
    "length", [0, 1, len(MESSAGE) - 1, len(MESSAGE) + 1, len(MESSAGE) + 18, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
)
def test_a_length_that_lies_is_refused(length):
    assert outcome(peer.aes(peer.pad32(peer.frame(MESSAGE, length=length)))) == UNDECRYPTABLE


def test_a_padding_to_sixteen_is_refused():
    """A good PKCS#7 padding of AES's own block, where the scheme wants 32."""
    plain = peer.frame(MESSAGE + b" " * (-(len(peer.frame(MESSAGE)) + 8) % 32 + 16))
    assert len(plain) % 32 == 8
    assert outcome(peer.aes(plain + b"\x08" * 8)) == UNDECRYPTABLE


@pytest.mark.parametrize("junk", ["\n", " ", "!", "=", "é"])
@pytest.mark.parametrize("at", [1, 40, -4])
def test_junk_inside_the_base64_is_not_skipped(junk, at):
    encoded = base64.b64encode(SEALED).decode()
    assert outcome(encoded[:at] + junk + encoded[at:]) == UNDECRYPTABLE


def test_a_length_beyond_the_end_is_refused_even_where_no_id_is_expected():
    envelope = Envelope(peer.KEY, "")
    sealed = {
        length: base64.b64encode(peer.aes(peer.pad32(peer.frame(b"abc", app_id="", length=length))))
        for length in (2, 3, 4)
    }
    assert [envelope.open(sealed[length]) for length in (2, 3, 4)] == [None, b"abc", None]


def test_three_thousand_bit_flips_open_nothing():
    """CBC turns a flip into one ruined block, which no longer reads as a message. Every end is one of two."""
    rng = random.Random(20261122)
    flips = rng.sample(range(len(SEALED) * 8), min(3_000, len(SEALED) * 8))
    flips += [rng.randrange(len(SEALED) * 8) for _ in range(3_000 - len(flips))]
    ends = set()
    for flip in flips:
        damaged = bytearray(SEALED)
        damaged[flip // 8] ^= 1 << flip % 8
        ends.add(outcome(bytes(damaged))[0])
    assert ends == {Refused, Malformed}


def test_flips_where_padding_and_app_id_stand_all_look_alike():
    """What a padding oracle would feed on: the tail, whose faults must not be told apart."""
    app_id_at = len(peer.frame(MESSAGE)) - len(peer.APP_ID)
    ends = set()
    for at in range(app_id_at // 16 * 16, len(SEALED)):
        for bit in range(8):
            damaged = bytearray(SEALED)
            damaged[at] ^= 1 << bit
            ends.add(outcome(bytes(damaged)))
    assert ends == {UNDECRYPTABLE}


def test_blocks_cannot_be_reordered_repeated_or_spliced():
    blocks = [SEALED[at : at + 32] for at in range(0, len(SEALED), 32)]
    other = peer.aes(peer.pad32(peer.frame(peer.text_xml("x" * 40).encode())))
    for damaged in (
        b"".join(reversed(blocks)),
        b"".join(blocks[:1] + blocks),
        b"".join(blocks + blocks[-1:]),
        SEALED + SEALED,
        blocks[0] + other[32:],
    ):
        assert outcome(damaged)[0] in (Refused, Malformed)


def test_an_envelope_is_refused_a_key_that_is_none():
    with pytest.raises(ValueError, match="43"):
        Envelope("short", "wx1")


def test_whatever_was_opened_or_sealed_before_changes_nothing():
    """Engines are kept from message to message: each opens as a new one would, in any order and after refusals."""
    rng = random.Random(20261122)
    envelope, other = Envelope(peer.KEY, peer.APP_ID), Envelope(peer.KEY, peer.APP_ID)
    mine = []
    for turn in range(200):
        message = rng.randbytes(rng.randrange(200))
        mine.append((message, envelope.seal(message)))
        theirs = base64.b64encode(peer.aes(peer.pad32(peer.frame(message))))
        damaged = base64.b64encode(peer.aes(rng.randbytes(32 * rng.randrange(1, 4))))
        assert envelope.open(damaged) is None
        assert envelope.open(theirs) == message
        assert [one.open(sealed) for one in (envelope, other) for _, sealed in mine[-3:]] == [
            message for message, _ in mine[-3:]] * 2
        assert len({sealed for _, sealed in mine}) == turn + 1


def test_threads_share_an_envelope():
    envelope = Envelope(peer.KEY, peer.APP_ID)

    def talk(name):
        said = [f"{name} {turn} ".encode() * 20 for turn in range(200)]
        return [envelope.open(envelope.seal(one)) for one in said] == said

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(talk, range(8)))


def test_the_random_block_stays_random():
    """The first block of equal messages differs, as a peer reads it, though no initial vector was set for them."""
    envelope, firsts = Envelope(peer.KEY, peer.APP_ID), set()
    for _ in range(100):
        plain = peer.unaes(base64.b64decode(envelope.seal(MESSAGE)))
        assert plain[16:].startswith(len(MESSAGE).to_bytes(4, "big") + MESSAGE)
        firsts.add(plain[:16])
    assert len(firsts) == 100
