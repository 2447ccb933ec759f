"""What counts as a real name, an ID number and a phone, and how each is shown. Pure.

Refusals carry no value: what was typed must not travel in an exception.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import field
from datetime import date
from typing import Literal, get_args

from domain.shared.errors import DomainError
from domain.shared.records import record

Field = Literal["real_name", "id_number", "phone"]
FIELDS: tuple[Field, ...] = get_args(Field)

_HAN = r"[\u3400-\u9fff\U00020000-\U000323af]{1,20}"
_HAN_NAME = re.compile(rf"{_HAN}(?:\u00b7{_HAN}){{0,4}}")
_LATIN_NAME = re.compile(r"[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f .'-]{1,48}[A-Za-z\u00c0-\u024f.]")
_DOTS = str.maketrans(dict.fromkeys("\u2022\u2027\u30fb\u2219\uff65.", "\u00b7"))
_ID_NUMBER = re.compile(r"[1-9]\d{16}[0-9X]")
_PHONE = re.compile(r"1[3-9]\d{9}")

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_PROVINCES = frozenset(map(str, (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55),
                                 *range(61, 66), 71, 81, 82, 83, 91)))


@record
class Personal:
    """Somebody's data in the open, '' for what is not kept. Its repr shows nothing."""

    real_name: str = field(default="", repr=False)
    id_number: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)


def checked(kind: Field, typed: str, today: date) -> str:
    """What was typed in its one spelling. Raises DomainError("vault.<kind>") when it cannot be one, and
    DomainError("vault.id_number_checksum") for 18 digits whose last one is wrong: somebody mistyped."""
    return _CHECKED[kind](unicodedata.normalize("NFKC", typed), today)


def _real_name(typed: str, today: date) -> str:
    """Two characters and more of Chinese (minorities' names with a middle dot), or a name in Latin letters."""
    han = "".join(typed.split()).translate(_DOTS).strip("\u00b7")
    if len(han) >= 2 and _HAN_NAME.fullmatch(han):
        return han
    latin = " ".join(typed.split())
    if _LATIN_NAME.fullmatch(latin):
        return latin
    raise DomainError("vault.real_name")


def _id_number(typed: str, today: date) -> str:
    """A resident's ID number (GB 11643): region, birthday, sequence, and a check character that may be X."""
    number = re.sub(r"[\s-]", "", typed).upper()
    if not _ID_NUMBER.fullmatch(number) or number[:2] not in _PROVINCES:
        raise DomainError("vault.id_number")
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise DomainError("vault.id_number") from None
    if not date(1900, 1, 1) <= born <= today:
        raise DomainError("vault.id_number")
    if number[17] != check_character(number[:17]):
        raise DomainError("vault.id_number_checksum")
    return number


def _phone(typed: str, today: date) -> str:
    number = re.sub(r"[\s-]", "", typed).removeprefix("+86")
    if not _PHONE.fullmatch(number):
        raise DomainError("vault.phone")
    return number


_CHECKED: dict[Field, Callable[[str, date], str]] = {
    "real_name": _real_name, "id_number": _id_number, "phone": _phone,
}


def check_character(first17: str) -> str:
    """The last character of an ID number (ISO 7064 MOD 11-2) after its first 17 digits."""
    return _CHECKS[sum(int(digit) * weight for digit, weight in zip(first17, _WEIGHTS, strict=True)) % 11]


def masked(kind: Field, value: str) -> str:
    """How a value is shown: its first character, its first and last four, or the ends of a phone."""
    match kind:
        case "real_name":
            return value[0] + "*" * min(len(value) - 1, 3)
        case "id_number":
            return f"{value[:4]}{'*' * 10}{value[-4:]}"
        case "phone":
            return f"{value[:3]}****{value[-4:]}"
