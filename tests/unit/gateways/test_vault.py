"""Sealed texts open only with the same key, for the same purpose, unchanged."""

import pytest

from bot.runtime.gateways.vault import Vault


def test_what_was_sealed_opens() -> None:
    sealed = Vault(b"k" * 32).seal("token", "a")
    assert Vault(b"k" * 32).open(sealed, "a") == "token"
    assert b"token" not in sealed


def test_the_same_text_never_seals_alike() -> None:
    vault = Vault(b"k" * 32)
    assert vault.seal("token", "a") != vault.seal("token", "a")


def test_another_key_or_label_does_not_open() -> None:
    sealed = Vault(b"k" * 32).seal("token", "a")
    assert Vault(b"l" * 32).open(sealed, "a") is None
    assert Vault(b"k" * 32).open(sealed, "b") is None


def test_no_changed_bit_and_no_cut_opens() -> None:
    vault = Vault(b"k" * 32)
    sealed = vault.seal("token", "a")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        assert vault.open(bytes(changed), "a") is None
        assert vault.open(sealed[:at], "a") is None


def test_a_short_secret_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Vault(b"short")
