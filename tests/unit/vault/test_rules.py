"""What counts as a name or a number, how it is shown, and that a lock opens only where it was closed."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shared.errors import DomainError
from domain.vault import rules
from domain.vault.seal import Vault

TODAY = date(2026, 11, 20)
GOOD = "11010519491231002X"
"""The example of GB 11643 itself."""


@pytest.mark.parametrize(("typed", "kept"), [
    ("张三", "张三"), (" 张 三 丰 ", "张三丰"), ("欧阳娜娜", "欧阳娜娜"), ("阿卜杜拉•买买提", "阿卜杜拉·买买提"),
    ("阿卜杜拉.买买提", "阿卜杜拉·买买提"), ("𠮷野家", "𠮷野家"),
    ("John  Smith", "John Smith"), ("José Núñez", "José Núñez"),
])
def test_names_are_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert rules.checked("real_name", typed, TODAY) == kept


@pytest.mark.parametrize("typed", ["", "张", "张3", "A", "13800138000", "张三😀", "张三，李四", "·",
                                   "<b>张三</b>", "张" * 200])
def test_what_is_no_name(typed: str) -> None:
    with pytest.raises(DomainError) as refused:
        rules.checked("real_name", typed, TODAY)
    assert refused.value.code == "vault.real_name"
    assert not typed or typed not in str(refused.value)


@pytest.mark.parametrize("typed", [GOOD, GOOD.lower(), "110105 19491231 002x", "１１０１０５１９４９１２３１００２Ｘ"])
def test_id_numbers_are_kept_in_one_spelling(typed: str) -> None:
    assert rules.checked("id_number", typed, TODAY) == GOOD


@pytest.mark.parametrize(("typed", "code"), [
    ("110105194912310021", "vault.id_number_checksum"), ("110105194912310X21", "vault.id_number"),
    ("110105194913310020", "vault.id_number"), ("110105203012310020", "vault.id_number"),
    ("990105194912310020", "vault.id_number"), ("11010519491231", "vault.id_number"), ("没有", "vault.id_number"),
])
def test_what_is_no_id_number(typed: str, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        rules.checked("id_number", typed, TODAY)
    assert refused.value.code == code


@given(st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_never_passes(place: int, by: int) -> None:
    wrong = GOOD[:place] + str((int(GOOD[place]) + by) % 10) + GOOD[place + 1:]
    with pytest.raises(DomainError):
        rules.checked("id_number", wrong, TODAY)


@given(st.integers(6, 15))
def test_two_digits_that_changed_places_never_pass(place: int) -> None:
    one, other = GOOD[place], GOOD[place + 1]
    if one != other:
        with pytest.raises(DomainError):
            rules.checked("id_number", GOOD[:place] + other + one + GOOD[place + 2:], TODAY)


def test_how_it_is_shown() -> None:
    assert rules.masked("real_name", "张三") == "张*"
    assert rules.masked("real_name", "欧阳娜娜") == "欧***"
    assert rules.masked("id_number", "530102199001010012") == "5301**********0012"
    assert rules.masked("phone", "13800138000") == "138****8000"
    assert "张三" not in repr(rules.Personal(real_name="张三"))


@given(st.text(max_size=60), st.sampled_from(rules.FIELDS))
def test_a_lock_opens_only_at_its_place(value: str, kind: rules.Field) -> None:
    vault = Vault(b"m" * 32)
    key, wrapped = vault.new_key(7)
    sealed = key.seal(kind, value)
    assert vault.unwrap(vault.master, wrapped, 7).open(kind, sealed) == value
    other = next(one for one in rules.FIELDS if one != kind)
    for attempt in (
        lambda: key.open(other, sealed), lambda: vault.new_key(7)[0].open(kind, sealed),
        lambda: vault.unwrap(vault.master, wrapped, 8), lambda: key.open(kind, sealed[:-1]),
        lambda: key.open(kind, bytes([sealed[0] ^ 1]) + sealed[1:]), lambda: key.open(kind, b""),
        lambda: Vault(b"n" * 32).unwrap(vault.master, wrapped, 7),
    ):
        with pytest.raises(DomainError):
            attempt()


def test_nothing_shows_a_key() -> None:
    vault = Vault(b"m" * 32)
    key, _ = vault.new_key(7)
    assert "mmmm" not in repr(vault)
    assert repr(key) == "PersonKey(sealed_for=7)"
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(b"short")
