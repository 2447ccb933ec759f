"""Codes made from codes: the same modules as the library alone gives, whatever was asked before."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import qrcode
import zxingcpp
from qrcode.util import MODE_8BIT_BYTE, QRData

from bot.pictures import codes

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def by_the_library(url: str) -> list[list[bool]]:
    """Straight from the library, mask 2, four light modules around."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=codes.QUIET, mask_pattern=2)
    code.add_data(QRData(url.encode(), mode=MODE_8BIT_BYTE))
    code.make(fit=True)
    return code.get_matrix()


def modules(url: str) -> list[list[bool]]:
    made = codes.modules(url)
    assert made.mode == "1"
    light = list(made.convert("L").tobytes())
    return [[not value for value in light[at : at + made.width]] for at in range(0, len(light), made.width)]


def some_addresses(length: int, count: int) -> list[str]:
    pick = random.Random(length * 1000 + count)
    return ["http://weixin.qq.com/q/" + "".join(pick.choices(LETTERS, k=length)) for _ in range(count)]


@pytest.mark.parametrize("length", [1, 3, 19, 40, 120])
def test_a_code_is_what_the_library_draws_however_it_was_made(length: int) -> None:
    """Of the first ones all are drawn; after that ever more are sums, of the shortest ones all."""
    for url in some_addresses(length, 40):
        assert modules(url) == by_the_library(url)


def test_an_address_that_is_the_sum_of_two_is_no_sum_of_their_codes() -> None:
    """Only an odd number of addresses adds up to one: of two, what all codes have in common drops out."""
    for letter in "aB#":  # 0x61 ^ 0x42 = 0x23
        assert modules(letter * 9) == by_the_library(letter * 9)


def test_a_code_of_an_address_that_was_never_drawn_can_be_read() -> None:
    """225 addresses that differ in eight bits, of a length that no other test has: nine equations, no more."""
    heads = [f"https://sums.of.shop.example/{a}{b}" for a in "ABCDEFGHIJKLMNO" for b in "abcdefghijklmno"]
    for url in heads:
        picture = codes.modules(url).convert("L").resize((400, 400), 0)
        assert [one.text for one in zxingcpp.read_barcodes(picture)] == [url]
    assert len(codes._known(len(heads[0]))) == 9


def test_letters_outside_ascii_are_bytes_like_others() -> None:
    for url in ("https://例.example/一", "https://例.example/二", "https://例.example/三", "https://例.example/上"):
        assert modules(url) == by_the_library(url)


def test_threads_that_learn_together_remember_nothing_untrue() -> None:
    asked = some_addresses(27, 120)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(codes.modules, asked * 2))
    assert [one.tobytes() for one in made[:120]] == [one.tobytes() for one in made[120:]]
    for url in asked[::6]:
        assert modules(url) == by_the_library(url)


def test_an_address_that_fits_no_code_is_refused() -> None:
    with pytest.raises(ValueError, match="2332 bytes"):
        codes.modules("x" * 2332)
