"""Whatever a name holds, only what the fonts can draw comes out, and what belongs together stays together."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from bot.pictures import fonts, text
from bot.pictures.graphemes import NEUTRAL, Cluster, clusters, visible
from tests.unit.pictures.names import NASTY

ATTACHED = frozenset("\u200d\ufe0e\ufe0f\u20e3")


def texts(raw: str) -> list[str]:
    return [cluster.text for cluster in clusters(raw)]


@pytest.mark.parametrize(
    ("raw", "whole"),
    [
        ("👨‍👩‍👧‍👦", ["👨‍👩‍👧‍👦"]),
        ("🇨🇳🇭🇰", ["🇨🇳", "🇭🇰"]),
        ("👍🏽!", ["👍🏽", "!"]),
        ("1️⃣1", ["1️⃣", "1"]),
        ("👩🏽‍⚕️好", ["👩🏽‍⚕️", "好"]),
        ("\U00020bb7野", ["\U00020bb7", "野"]),
        ("e\u0301", ["é"]),
        ("𝓛𝓲", ["L", "i"]),
    ],
)
def test_what_readers_see_as_one_is_one_cluster(raw: str, whole: list[str]) -> None:
    assert texts(raw) == whole


@pytest.mark.parametrize("raw", ["\u202eabc\u200f", "a\u200bb\u2060c", "\ufeffabc\u00ad", "a\x00b\x07c"])
def test_marks_that_turn_or_hide_text_are_gone(raw: str) -> None:
    assert texts(raw) == ["a", "b", "c"]


def test_a_joiner_between_letters_is_gone_and_between_pictures_it_stays() -> None:
    assert texts("李\u200d姐") == ["李", "姐"]
    assert texts("👩‍🌾") == ["👩‍🌾"]


def test_unknown_scripts_become_one_quiet_dot() -> None:
    assert texts("தமிழ்") == [NEUTRAL]
    assert not visible("தமிழ்")
    assert not visible("\u3164\u2800 ")
    assert visible("தமிழ் a")


def test_other_faces_have_nothing_more_to_offer() -> None:
    assert all(set(fonts.covered(face)) == set(fonts.covered(fonts.TEXT)) for face in range(5))


def test_coverage_agrees_with_what_the_font_really_draws() -> None:
    font = ImageFont.truetype(str(fonts.TEXT_FILE), 40, index=fonts.TEXT)
    box = font.getmask("\U0010ffff")
    known = fonts.covered(fonts.TEXT)
    for char in "李姐\U00020bb7Aé¥…·":
        assert ord(char) in known
        assert bytes(font.getmask(char)) != bytes(box)
    for char in "م\u0e2aத🌸":
        assert ord(char) not in known
        assert bytes(font.getmask(char)) == bytes(box)


@pytest.mark.parametrize("raw", NASTY.values(), ids=NASTY.keys())
def test_no_nasty_name_leaves_a_glyph_that_its_font_lacks(raw: str) -> None:
    assert_drawable(clusters(raw))


@given(st.text(alphabet=st.characters(), max_size=40))
def test_no_text_at_all_leaves_a_missing_glyph(raw: str) -> None:
    assert_drawable(clusters(raw))


def assert_drawable(line: tuple[Cluster, ...]) -> None:
    for cluster in line:
        for char in cluster.text:
            hidden = cluster.face == fonts.EMOJI and char in ATTACHED
            assert hidden or ord(char) in fonts.covered(cluster.face), ascii(cluster)
            assert unicodedata.category(char) not in ("Cc", "Cs", "Co", "Cn")


@pytest.mark.parametrize("emoji", ["👨‍👩‍👧‍👦", "🇨🇳", "👍🏽", "👩🏽‍⚕️", "🧑🏻‍🤝‍🧑🏿", "1️⃣"])
def test_joined_emoji_are_drawn_as_one_picture_in_colour(emoji: str) -> None:
    kind = text.Type(60)
    assert text.width(clusters(emoji), kind) == text.width(clusters("🌸"), kind)
    sheet = Image.new("RGB", (120, 120), "#ffffff")
    text.draw(sheet, (20, 90), clusters(emoji), kind, "#000000")
    pixels = np.asarray(sheet, np.int16)
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() > 60


@pytest.mark.parametrize("raw", NASTY.values(), ids=NASTY.keys())
@pytest.mark.parametrize("limit", [0, 61, 300])
def test_a_fitted_line_is_never_wider_than_its_room(raw: str, limit: int) -> None:
    kind = text.Type(40, 700)
    line = text.fit(clusters(raw), kind, limit)
    dot = text.width((text.ELLIPSIS,), kind)
    assert text.width(line, kind) <= max(limit, dot)
    whole = clusters(raw)
    assert line == whole or (line[-1] == text.ELLIPSIS and whole[: len(line) - 1] == line[:-1])


def test_titles_break_at_spaces_never_inside_a_word_and_end_in_an_ellipsis() -> None:
    kind = text.Type(60, 800)
    broken = text.balanced("云南褚橙 5斤装 皮薄多汁 坏果包赔 现摘", kind, 700, 2)
    assert ["".join(c.text for c in line) for line in broken] == ["云南褚橙 5斤装", "皮薄多汁 坏果包赔 现摘"]
    words = text.wrap("OrganicRice Premium2026 Harvest", kind, 420, 2)
    assert "".join(c.text for c in words[0]) == "OrganicRice"
    many = text.wrap("特别长的商品名" * 20, kind, 900, 2)
    assert len(many) == 2 and many[1][-1] == text.ELLIPSIS
    assert all(text.width(line, kind) <= 900 for line in many)


@pytest.mark.parametrize("raw", ["👨\u200d" * 40, "👨\u200d" * 40 + " 五常大米"])
def test_one_picture_that_is_wider_than_its_line_is_no_end(raw: str) -> None:
    """Pictures joined without end are one cluster, which no place can break."""
    for broken in (text.wrap(raw, text.Type(60, 800), 700, 2), text.balanced(raw, text.Type(60, 800), 700, 2)):
        assert 1 <= len(broken) <= 2 and all(broken)


@pytest.mark.parametrize(("title", "room", "shown"), [
    ("古树普洱茶饼礼盒装 2026年春茶", "古树普洱茶饼礼盒装 202", "古树普洱茶饼礼盒装…"),
    ("鲜榨橙汁（500ml*6瓶）整箱", "鲜榨橙汁（500ml", "鲜榨橙汁…"),
    ("Camellia Oil Gift-Box Unbelievable", "Camellia Oil Gift-Bo", "Camellia Oil…"),
    ("一款茶，特别特别特别特别好", "一款茶，", "一款茶…"),
    ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJK", "ABCDEFGHIJK…"),
])
def test_an_ellipsis_cuts_no_number_and_no_word_that_it_can_leave_out(title: str, room: str, shown: str) -> None:
    kind = text.Type(40, 700)
    line = text.fit(clusters(title), kind, text.width((*clusters(room), text.ELLIPSIS), kind))
    assert "".join(c.text for c in line) == shown


def test_a_number_stays_with_what_it_counts_and_a_bracket_with_what_it_opens() -> None:
    kind = text.Type(60, 800)
    for title in ("有机五常大米稻花香10斤装家庭装", "有机五常大米稻花香（10斤装）家庭"):
        for limit in range(400, 800, 20):
            first, second = ("".join(c.text for c in line) for line in text.wrap(title, kind, limit, 2))
            assert not first.endswith(("1", "10", "（")) and not second.startswith(("0", "斤", "）"))


def test_a_line_that_begins_with_a_bracket_stands_at_the_edge() -> None:
    kind = text.Type(60, 800)
    sheet = Image.new("L", (400, 200))
    for top, title in ((0, "【新】茶"), (100, "新茶")):
        line = clusters(title)
        text.draw(sheet, (20 - text.hang(line, kind), top + 70), line, kind, "#ffffff")
    rows = np.asarray(sheet)
    bracket, letter = (int(np.flatnonzero(part.max(axis=0) > 60)[0]) for part in (rows[:100], rows[100:]))
    assert abs(bracket - letter) <= 4
    assert text.hang(clusters("新【茶】"), kind) == 0


def test_drawing_reaches_no_further_than_measured() -> None:
    kind = text.Type(48, 500)
    line = clusters("来自@李姐🌸的推荐 Wj")
    sheet = Image.new("RGB", (900, 140), "#ffffff")
    text.draw(sheet, (20, 90), line, kind, "#000000")
    ink = Image.eval(sheet.convert("L"), lambda v: 255 - v).getbbox()
    assert ink is not None
    assert ink[2] <= 20 + text.width(line, kind) + 3
