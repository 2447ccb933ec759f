"""Names in letters that join, stack or run from right to left are drawn as their readers write them."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bot.pictures import fonts, text
from bot.pictures.graphemes import Cluster, clusters, visible

ALI, MUHAMMAD = "علي", "محمد"
PLAIN = text.Type(48, 500)
NAMES = ["محمد علي", "สมชาย ใจดี", "น้ำผึ้ง", "नरेन्द्र मोदी", "श्रीमती"]

UNOPENED = """
import sys
from bot.pictures import text
from bot.pictures.graphemes import clusters
text.width(clusters("李姐 Ångström 🌸 தமிழ்"), text.Type(48))
assert not [name for name in sys.modules if name.startswith("fontpkg")]
"""


def drawn(name: str, kind: text.Type = PLAIN) -> Image.Image:
    line = clusters(name)
    sheet = Image.new("L", (round(text.width(line, kind)), 100))
    text.draw(sheet, (0, 70), line, kind, "white")
    return sheet


@pytest.mark.parametrize("name", NAMES)
def test_all_of_a_name_is_there_in_one_face(name: str) -> None:
    line = clusters(name)
    assert visible(name) and "".join(one.text for one in line) == name
    assert {one.face for one in line} == {fonts.shaped(name[0])}


def test_words_from_right_to_left_stand_in_their_order() -> None:
    both, second = drawn(f"{MUHAMMAD} {ALI}"), drawn(ALI)
    inner = (0, 0, second.width - 2, second.height)
    assert both.crop(inner).tobytes() == second.crop(inner).tobytes(), "the second word is on the left"


def test_letters_join_whatever_the_spacing() -> None:
    left, _, right, _ = drawn(MUHAMMAD).getbbox() or (0, 0, 0, 0)
    assert np.asarray(drawn(MUHAMMAD))[:, left:right].any(axis=0).all(), "one stroke"
    spaced = text.Type(48, 500, spacing=9)
    assert drawn(MUHAMMAD, spaced).tobytes() == drawn(MUHAMMAD).tobytes()
    assert text.width(clusters(f"李{MUHAMMAD}姐"), spaced) == text.width(clusters(f"李{MUHAMMAD}姐"), PLAIN) + 2 * 9


def test_marks_are_kept_as_far_as_a_letter_has_them() -> None:
    assert [one.text for one in clusters("ผึ้ง")] == ["ผึ้", "ง"]
    assert clusters("ا" + "\u0650" * 9)[0].text == "ا" + "\u0650" * 3
    assert clusters("\u094d\u0650") == (), "a mark without a letter"
    assert clusters("علي 李")[-2] == Cluster(" ", fonts.TEXT)


def test_a_word_is_not_broken_over_two_lines() -> None:
    lines = text.wrap("محمد علي", PLAIN, text.width(clusters(MUHAMMAD), PLAIN) + 8, 2)
    assert ["".join(one.text for one in line) for line in lines] == [MUHAMMAD, ALI]


def test_numbers_among_letters_from_right_to_left_are_read_from_left_to_right() -> None:
    numbers, one = drawn("\u0661\u0662"), drawn("\u0661")
    inner = (0, 0, one.width - 2, one.height)
    assert numbers.crop(inner).tobytes() == one.crop(inner).tobytes()


def test_who_meets_no_such_name_opens_none_of_these_fonts() -> None:
    subprocess.run([sys.executable, "-c", UNOPENED], check=True)
