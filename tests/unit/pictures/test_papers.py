"""What certificates and cards promise readers, in every tone: words that can be read, amounts that are whole."""

import numpy as np
import pytest
from PIL import Image

from bot.pictures import labels, paint, papers, styles, text
from bot.pictures.cards import CARD, PRIZE, SHARE
from bot.pictures.certificate import FRAME
from bot.pictures.graphemes import clusters
from bot.runtime.bootstrap import ASSETS
from tests.unit.pictures.test_styles import pairs

LAYOUTS = {
    "certificate": papers.load(ASSETS / "certificates" / "layout.toml", FRAME),
    "member": papers.load(ASSETS / "cards" / "member.toml", CARD),
    "prize": papers.load(ASSETS / "cards" / "prize.toml", PRIZE),
    "share": papers.load(ASSETS / "cards" / "share.toml", SHARE),
}
FRAMES = {"certificate": FRAME, "member": CARD, "prize": PRIZE, "share": SHARE}
TONES = [(name, tone) for name, tones in LAYOUTS.items() for tone in tones]
LARGE = 56
"""Pixels of letters that a phone shows as large as a headline, for which a contrast of three is enough."""


@pytest.mark.parametrize(("name", "tone"), TONES)
def test_every_text_can_be_read_on_what_is_behind_it(name: str, tone: str) -> None:
    frame, parts = FRAMES[name], LAYOUTS[name][tone]
    ground = Image.new("RGB", (frame.width, frame.height), "#ffffff")
    for part in parts:
        if not isinstance(part, styles.Text | papers.Code):
            papers._DRAW[type(part)](ground, part, papers.Writing(tone, "店", {}))
    for part in parts:
        if isinstance(part, styles.Text):
            ((colour, behind),) = pairs(part, np.asarray(ground))
            assert paint.contrast(colour, behind) >= (3 if part.size >= LARGE else 4.5), (part, behind)


@pytest.mark.parametrize(("name", "place", "amount"), [
    ("member", "saved", "已省 ¥9,999,999.99"), ("share", "reward", "获得 ¥9,999,999.99 红包"),
    ("share", "deed", "我已完成第 9999 单复购")])
def test_no_amount_is_ever_shortened(name: str, place: str, amount: str) -> None:
    for parts in LAYOUTS[name].values():
        (part,) = (one for one in parts if isinstance(one, styles.Text) and place in styles.places(one.text))
        smallest = text.Type(part.least or part.size, part.weight, part.spacing, part.serif)
        assert text.width(clusters(amount), smallest) <= part.box[2]


@pytest.mark.parametrize(("least", "shown"), [(None, False), (30, True)])
def test_a_text_shrinks_before_it_is_shortened(least: int | None, shown: bool) -> None:
    """Whether its last letter is still there."""
    made = []
    for saved in ("已省 ¥1,234,567.81", "已省 ¥1,234,567.82"):
        picture = Image.new("RGB", (460, 100), "#ffffff")
        layer = styles.Text(box=(10, 10, 400, 80), text="{saved}", size=60, colour="#000000", least=least)
        labels.words(picture, layer, {"saved": saved})
        made.append(picture.tobytes())
    assert (made[0] != made[1]) is shown
