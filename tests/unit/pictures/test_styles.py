"""Style files: every fault of every file at once, and what the shipped ones promise readers."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.pictures import goods, jpeg, paint, render, styles, text
from bot.pictures.graphemes import clusters
from bot.pictures.shelf import Shelf
from bot.pictures.studio import PosterRequest, Studio, StyleError
from tests.unit.pictures.conftest import POSTERS, a_request

SHIPPED = styles.load(POSTERS)
USAGE = styles.load(POSTERS / "usage")
GOOD = (POSTERS / "10-fresh.toml").read_text("utf-8")


def faults_of(tmp_path: Path, **files: str) -> tuple[str, ...]:
    for name, source in files.items():
        (tmp_path / f"{name}.toml").write_text(source, "utf-8")
    with pytest.raises(StyleError) as caught:
        styles.load(tmp_path)
    return caught.value.faults


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    one = """
name = ""
accent = "red"
extra = 1
[[layer]]
kind = "shape"
box = [0, 0, 10]
fill = ["#12345"]
colour = "#ffffff"
[[layer]]
kind = "glitter"
[[layer]]
kind = "text"
text = "{title} {prise}"
box = [1000, 10, 200, 30]
size = 60
colour = "#000000"
"""
    faults = "\n".join(faults_of(tmp_path, one=one, two="not [ toml", three='name = "三"\naccent = "#000000"'))
    for expected in (
        "one.toml: unknown entry 'extra'",
        "one.toml: 'name'",
        "one.toml: 'accent' is 'red'",
        "one.toml: layer 1: (shape) 'box' is [0, 0, 10]",
        "one.toml: layer 1: (shape) 'fill'",
        "one.toml: layer 1: (shape) unknown entry 'colour'",
        "one.toml: layer 2: 'kind' must be one of",
        "one.toml: layer 3 (text): the box [1000, 10, 200, 30] leaves the picture",
        "one.toml: layer 3 (text): unknown place {prise}",
        "one.toml: layer 3 (text): 1 lines of 60 pixels do not fit",
        "two.toml: not readable as TOML",
        "three.toml: at least one [[layer]]",
    ):
        assert expected in faults


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("box = [84, 1640, 548, 64]", "box = [84, 1340, 548, 64]", "must lie at or below row 1408"),
        ("box = [660, 1468, 336, 336]", "box = [660, 1468, 240, 240]", "a square of at least 280"),
        ("box = [84, 1640, 548, 64]", "box = [84, 1640, 620, 64]", "overlaps the QR"),
        ('[[layer]]\nkind = "avatar"\nbox = [84, 1478, 136, 136]\nring = "#cfe8c3"', "", "'avatar' is needed"),
        ('text = "来自@{sharer}的推荐"', 'text = "朋友推荐"', "no text shows {sharer}"),
        ('text = "{title}"', 'text = "{title"', "wrong braces"),
        ("size = 104", "size = 1", "'size' is 1"),
    ],
)
def test_a_style_that_would_make_a_bad_poster_is_refused(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert old in GOOD
    assert fault in "\n".join(faults_of(tmp_path, broken=GOOD.replace(old, new)))


def test_operators_add_a_style_by_adding_a_file(tmp_path: Path, request_: PosterRequest) -> None:
    (tmp_path / "goods").mkdir()
    (tmp_path / "goods" / "motifs.toml").write_bytes((POSTERS / "goods" / "motifs.toml").read_bytes())
    (tmp_path / "05-mine.toml").write_text(GOOD.replace('name = "清新"', 'name = "我的"'), "utf-8")
    studio = Studio(tmp_path)
    assert [(style.key, style.name) for style in studio.styles()] == [("mine", "我的")]
    assert studio.poster(replace(request_, style="mine"))


def test_an_empty_directory_two_files_of_one_key_and_bad_motifs_are_faults(tmp_path: Path) -> None:
    with pytest.raises(StyleError, match="no style files"):
        styles.load(tmp_path)
    assert "already has the key 'a'" in "\n".join(faults_of(tmp_path, **{"1-a": GOOD, "2-a": GOOD}))
    with pytest.raises(StyleError, match=r"motifs\.toml"):
        goods.load(tmp_path / "motifs.toml")


@pytest.mark.parametrize("key", SHIPPED)
def test_layers_that_show_the_sharer_lie_below_the_seam(key: str) -> None:
    assert all(layer.box[1] >= jpeg.SEAM for layer in SHIPPED[key].person)


@pytest.mark.parametrize("key", [*SHIPPED, *USAGE])
def test_nothing_is_written_smaller_than_a_phone_shows(key: str) -> None:
    """24 pixels are 8 on a screen 360 wide."""
    layers = (SHIPPED | USAGE)[key].layers
    assert min(layer.size for layer in layers if isinstance(layer, styles.Text | styles.Price | styles.Points)) >= 24


@pytest.mark.parametrize("key", [*SHIPPED, *USAGE])
def test_what_is_always_written_stands_there_whole(key: str) -> None:
    """Words without places, and the date, are never shortened."""
    for layer in (SHIPPED | USAGE)[key].layers:
        if isinstance(layer, styles.Text) and set(styles.places(layer.text)) <= {"valid_until"}:
            line = clusters(layer.text.format(valid_until="2026-12-28"))
            assert text.width(line, text.Type(layer.size, layer.weight, layer.spacing)) <= layer.box[2], layer.text


@pytest.mark.parametrize("key", SHIPPED)
@pytest.mark.parametrize("sku", ["A", "C"])
def test_small_things_beside_the_goods_are_not_cut_by_the_frame(key: str, sku: str) -> None:
    """Of some motifs with wide things; ``sku`` decides which stands on which side."""
    product, motifs = SHIPPED[key].product, goods.load(POSTERS / "goods" / "motifs.toml")
    props = goods.Props(Shelf(None))
    outside = np.asarray(paint.mask(product.form, *product.box[2:], product.radius)) < 128
    bare = np.asarray(props.stage(product), np.int16)
    for title in ("茶", "大米", "会员卡"):
        drawn = np.asarray(goods.still_life(product, goods.choose(motifs, title, ""), sku, props), np.int16)
        assert np.abs(drawn - bare).max(axis=2)[outside].max(initial=0) < 60, title


@pytest.mark.parametrize("key", SHIPPED)
def test_no_words_stand_on_each_other(key: str) -> None:
    """Boxes of content never overlap, except the chips' rows with nothing else in them."""
    worded = (styles.Text, styles.Price, styles.Points, styles.Avatar, styles.Qr)
    boxes = [layer.box for layer in SHIPPED[key].layers if isinstance(layer, worded)]
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
            assert apart, (a, b)


@pytest.mark.parametrize("photo", [None, "#000000", "#7f7f7f", "#ffffff"])
@pytest.mark.parametrize("key", SHIPPED)
def test_every_text_has_a_contrast_of_four_and_a_half_on_what_is_really_behind_it(key: str, photo: str | None) -> None:
    """Whatever the shop's photo is like."""
    style = SHIPPED[key]
    shown = io.BytesIO()
    if photo:
        Image.new("RGB", (600, 600), photo).save(shown, "PNG")
    motifs = goods.load(POSTERS / "goods" / "motifs.toml")
    backdrop = render.backdrop(style.behind)
    bare = tuple(layer for layer in style.fixed if not isinstance(layer, styles.Text | styles.Price | styles.Points))
    asked = replace(a_request(), product_image=shown.getvalue() or None)
    render.fixed(backdrop, bare, asked, motifs, goods.Props(Shelf(None)))
    for layer in style.layers:
        if isinstance(layer, styles.Text | styles.Price | styles.Points):
            for colour, ground in pairs(layer, np.asarray(backdrop)):
                assert paint.contrast(colour, ground) >= 4.5, (layer, ground)


def pairs(
    layer: styles.Text | styles.Price | styles.Points, ground: np.ndarray
) -> list[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    """Each colour of the layer with the 5 % most like it of the pixels behind, averaged."""
    left, top, width, height = layer.box
    behind = ground[top : top + height, left : left + width].reshape(-1, 3).astype(float)
    if isinstance(layer, styles.Points) and layer.fill:
        red, green, blue, opacity = paint.rgba(layer.fill)
        behind = behind * (1 - opacity / 255) + np.array([red, green, blue]) * (opacity / 255)
    colours = [layer.colour, layer.struck] if isinstance(layer, styles.Price) else [layer.colour]
    found = []
    for colour in colours:
        text_colour = paint.rgba(colour)[:3]
        near = np.argsort(np.abs(behind - np.array(text_colour)).sum(axis=1))[: max(1, len(behind) // 20)]
        mean = behind[near].mean(axis=0)
        found.append((text_colour, (round(mean[0]), round(mean[1]), round(mean[2]))))
    return found
