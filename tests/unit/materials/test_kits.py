"""Share kits: the most specific one wins, faults are named, and no line says what may not be said."""

import pytest

from bot.runtime.bootstrap import ASSETS
from domain.materials.kits import Kits
from domain.shared.wording import Wording

SHIPPED = Kits.load((ASSETS / "share_kits.toml").read_text("utf-8"))


def test_the_most_specific_kit_wins() -> None:
    kits = Kits.load('[[kit]]\nlines = ["随便看看{product}"]\n[[kit]]\ncategory = "fmcg"\nlines = ["好吃的{product}"]\n'
                     '[[kit]]\nsku = "R1"\nlines = ["{product}真香啊"]\nvideo = "https://v.example.com/1"\n')
    assert kits.of("R1", "fmcg", "大米") == (("大米真香啊",), "https://v.example.com/1")
    assert kits.of("R2", "fmcg", "{x}") == (("好吃的{x}",), "")
    assert kits.of("", "", "茶") == (("随便看看茶",), "")


def test_every_fault_is_named() -> None:
    with pytest.raises(ValueError) as fault:
        Kits.load('x = 1\n[[kit]]\nlines = []\n[[kit]]\nlines = ["{price}便宜了"]\nsku = "a"\ncategory = "b"\n'
                  '[[kit]]\nlines = ["一二三四"]\nvideo = "http://v"\n[[kit]]\nlines = ["{一二三四"]\n')
    for part in ("unknown entry 'x'", "kit 1: Expected `array` of length >= 1", "unknown place {price}", "not both",
                 "kit 3: video must be an https address", "kit 4: the line '{一二三四' has wrong braces"):
        assert part in str(fault.value), part
    for bad in ("", "kit = 3", "x = ", '[[kit]]\nsku = "a"\nlines = ["一二三四"]'):
        with pytest.raises(ValueError, match=r"share_kits\.toml"):
            Kits.load(bad)


def test_shipped_lines_say_nothing_forbidden() -> None:
    wording = Wording.load((ASSETS / "sensitive_words.toml").read_text("utf-8"))
    lines = [line for kit in SHIPPED.by_place.values() for line in kit.lines]
    assert lines and [hit for line in lines for hit in wording.find(line)] == []
