"""Posters from the outside: bytes, size, scanning, and what they show."""

import hashlib
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from bot.pictures import codes, fonts, goods, jpeg, qr, render, styles
from bot.pictures.shelf import Shelf
from bot.pictures.studio import PosterRequest, PosterUnreadable, Studio, UnknownStyle
from tests.unit.pictures.conftest import POSTERS
from tests.unit.pictures.names import NASTY

STYLES = list(styles.load(POSTERS))
MAPPED = Path("/proc/self/maps")
IN_ANOTHER_PROCESS = """
import hashlib, sys
from bot.pictures.studio import Studio
from tests.unit.pictures.conftest import POSTERS, a_request
studio = Studio(POSTERS)
made = [studio.poster(a_request()), studio.contact_sheet(a_request())]
print(*[hashlib.sha256(data).hexdigest() for data in made])
"""


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def scanned(picture: Image.Image) -> list[str]:
    found = zxingcpp.read_barcodes(picture.convert("L"), zxingcpp.BarcodeFormat.QRCode, try_invert=False)
    return [code.text for code in found]


def a_photo(width: int, height: int, kind: str = "JPEG", **more: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(out, kind, **more)
    return out.getvalue()


def test_there_are_at_least_four_styles_in_a_fixed_order(studio: Studio) -> None:
    assert [style.key for style in studio.styles()] == STYLES
    assert len(STYLES) >= 4
    assert len({style.name for style in studio.styles()}) == len(STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_a_poster_is_a_plain_small_jpeg(studio: Studio, request_: PosterRequest, style: str) -> None:
    data = studio.poster(replace(request_, style=style))
    picture = opened(data)
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (1080, 1920))
    assert len(data) < 1_500_000
    assert not picture.getexif() and "exif" not in picture.info
    assert b"Exif" not in data and b"Photoshop" not in data
    assert [layer[1:3] for layer in picture.layer] == [(2, 2), (1, 1), (1, 1)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("style", STYLES)
def test_every_poster_scans_as_it_is_and_small_and_squeezed(
    studio: Studio, request_: PosterRequest, style: str
) -> None:
    """Read here with all of the decoder's help off and on another path than the studio's own check."""
    for name in NASTY.values():
        data = studio.compose(replace(request_, style=style, sharer_name=name))
        picture = opened(data)
        assert scanned(picture) == [request_.qr_url], ascii(name)
        small = io.BytesIO()
        picture.resize((360, 640), Image.Resampling.BICUBIC).save(small, "JPEG", quality=70)
        assert scanned(opened(small.getvalue())) == [request_.qr_url], ascii(name)


@pytest.mark.parametrize("length", [20, 45, 80, 110])
def test_longer_addresses_scan_too_and_too_long_ones_are_refused(
    studio: Studio, request_: PosterRequest, length: int
) -> None:
    url = ("https://shop.example/r/" + "k7Qm2x" * 40)[:length]
    assert scanned(opened(studio.poster(replace(request_, qr_url=url)))) == [url]
    with pytest.raises(ValueError, match="does not fit"):
        studio.poster(replace(request_, qr_url=url + "z" * 400))
    with pytest.raises(ValueError, match="address"):
        studio.poster(replace(request_, qr_url=""))


def test_a_picture_whose_qr_is_damaged_or_another_is_refused(
    studio: Studio, request_: PosterRequest
) -> None:
    data = studio.compose(request_)
    with pytest.raises(PosterUnreadable):
        qr.verify(data, request_.qr_url + "x")
    picture = opened(data)
    picture.paste("#808080", (700, 1500, 960, 1700))
    with pytest.raises(PosterUnreadable):
        qr.verify(jpeg.encode(picture), request_.qr_url)
    blurred = opened(data).resize((90, 160)).resize((1080, 1920))
    with pytest.raises(PosterUnreadable):
        qr.verify(jpeg.encode(blurred), request_.qr_url)


def test_same_request_same_bytes_in_any_process(studio: Studio, request_: PosterRequest) -> None:
    """Another seed of hashes than ours, another zone than anybody's here."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    other = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS], text=True, stdout=subprocess.PIPE, timeout=60,
        env={"PYTHONHASHSEED": seed, "TZ": "Pacific/Chatham", "PYTHONPATH": str(POSTERS.parents[1])})
    here = [studio.poster(request_), studio.contact_sheet(request_)]
    assert other.stdout.split() == [hashlib.sha256(data).hexdigest() for data in here]


def test_eight_threads_make_what_one_makes(studio: Studio, request_: PosterRequest) -> None:
    """Threads that all meet an empty studio."""
    asked = [
        replace(request_, style=style, sharer_name=name, qr_url=f"{request_.qr_url}{i}")
        for i, (style, name) in enumerate((s, n) for s in STYLES[:3] for n in ("李姐🌸", "王芳", "👨‍👩‍👧"))
    ]
    expected, shared = [studio.poster(one) for one in asked], Studio(POSTERS)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(shared.poster, asked * 2)) == expected * 2


@pytest.mark.parametrize("name", ["emoji", "zalgo", "long emoji"])
def test_the_joined_jpeg_is_what_encoding_the_whole_gives(studio: Studio, request_: PosterRequest, name: str) -> None:
    for style in studio._styles.values():
        asked = replace(request_, style=style.key, sharer_name=NASTY[name])
        backdrop = render.backdrop(style.behind)
        render.fixed(backdrop, style.fixed, asked, studio._motifs, goods.Props(Shelf(None)))
        render.mounts(backdrop, style.person)
        render.person(backdrop, style.person, asked)
        assert studio.compose(asked) == jpeg.encode(backdrop)


@pytest.mark.parametrize("style", STYLES)
def test_only_the_rows_of_the_band_differ_between_people(
    studio: Studio, request_: PosterRequest, style: str
) -> None:
    asked = replace(request_, style=style)
    """But for one row on each side, which whoever unpacks the picture smooths with its neighbour."""
    one = np.asarray(opened(studio.compose(asked)), np.int16)
    other = replace(asked, sharer_name="王芳", qr_url="http://weixin.qq.com/q/other", valid_until="")
    two = np.asarray(opened(studio.compose(other)), np.int16)
    rows = np.flatnonzero(np.abs(one - two).max(axis=(1, 2)))
    top, bottom = studio._styles[style].band
    assert jpeg.SEAM <= top <= rows.min() + 1 and rows.max() <= bottom <= styles.HEIGHT


@pytest.mark.parametrize(
    "change",
    [
        {"title": "高山云雾茶"},
        {"price_fen": 6_801},
        {"list_price_fen": None},
        {"points": ("包邮",)},
        {"shop_name": "王记"},
        {"sku": "RICE-10KG"},
        {"sharer_name": "王芳"},
        {"valid_until": "2027-01-01"},
        {"qr_url": "http://weixin.qq.com/q/other"},
        {"avatar": a_photo(200, 200)},
        {"product_image": a_photo(900, 900)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_in_the_request_is_shown(
    studio: Studio, request_: PosterRequest, change: dict[str, object]
) -> None:
    assert studio.poster(replace(request_, **change)) != studio.poster(request_)  # type: ignore[arg-type]


def test_a_list_price_that_is_no_higher_is_not_struck_through(
    studio: Studio, request_: PosterRequest
) -> None:
    plain = studio.poster(replace(request_, list_price_fen=None))
    assert studio.poster(replace(request_, list_price_fen=6_800)) == plain


def test_a_photo_fills_its_frame_and_a_broken_one_gives_the_drawn_goods(
    studio: Studio, request_: PosterRequest
) -> None:
    red = io.BytesIO()
    Image.new("RGB", (300, 700), "#c00000").save(red, "PNG")
    shown = opened(studio.poster(replace(request_, product_image=red.getvalue()))).getpixel((540, 500))
    assert isinstance(shown, tuple) and shown[0] > 180 and max(shown[1:]) < 12
    drawn = studio.poster(request_)
    for broken in (b"", b"no picture", a_photo(400, 400)[:300], b"GIF89a" + bytes(50)):
        assert studio.poster(replace(request_, product_image=broken)) == drawn
        assert studio.poster(replace(request_, avatar=broken)) == drawn


def test_huge_texts_and_prices_stay_inside_their_boxes(studio: Studio, request_: PosterRequest) -> None:
    for style in STYLES:
        asked = replace(
            request_,
            style=style,
            title="特别好吃的商品👨‍👩‍👧‍👦" * 30,
            shop_name="一家名字非常非常长的店铺" * 5,
            points=("一句说不完的卖点" * 6,) * 9,
            price_fen=99_999_999_999,
            list_price_fen=999_999_999_999,
        )
        assert scanned(opened(studio.poster(asked))) == [request_.qr_url]
        empty = replace(asked, title="", shop_name="", points=(), price_fen=0, valid_until="", sku="")
        assert scanned(opened(studio.poster(empty))) == [request_.qr_url]


@pytest.mark.parametrize("style", STYLES)
def test_the_quiet_zone_is_white_and_nothing_reaches_into_it(
    studio: Studio, request_: PosterRequest, style: str
) -> None:
    asked = replace(request_, style=style, sharer_name=NASTY["long emoji"], valid_until="很长的期限" * 20)
    picture = opened(studio.compose(asked))
    layer = next(one for one in studio._styles[style].layers if isinstance(one, styles.Qr))
    code = qr.bare(request_.qr_url, layer.box[2])
    pixels = code.width // 33
    assert code.width == 33 * pixels and layer.box[2] >= (33 + 2 * codes.QUIET) * pixels
    left = layer.box[0] + (layer.box[2] - code.width) // 2 - codes.QUIET * pixels
    top = layer.box[1] + (layer.box[3] - code.height) // 2 - codes.QUIET * pixels
    side = code.width + 2 * codes.QUIET * pixels
    area = np.asarray(picture.convert("L").crop((left, top, left + side, top + side)))
    inner = area[codes.QUIET * pixels : -codes.QUIET * pixels, codes.QUIET * pixels : -codes.QUIET * pixels]
    assert min(inner.shape) >= qr.SMALLEST
    rim = np.ones_like(area, dtype=bool)
    within = slice(codes.QUIET * pixels - 8, -(codes.QUIET * pixels - 8))
    rim[within, within] = False
    rim[:24, :24] = rim[:24, -24:] = rim[-24:, :24] = rim[-24:, -24:] = False  # the plate's round corners
    assert area[rim].min() > 235


def test_a_code_that_stands_alone_has_its_quiet_zone() -> None:
    alone, bare = (np.asarray(make("http://weixin.qq.com/q/02aBc", 480)) for make in (qr.draw, qr.bare))
    rim = (len(alone) - len(bare)) // 2
    assert rim == codes.QUIET * (len(bare) // 29)
    assert (alone[rim:-rim, rim:-rim] == bare).all()
    assert alone[:rim].min() == alone[-rim:].min() == alone[:, :rim].min() == alone[:, -rim:].min() == 255


@pytest.mark.parametrize("style", STYLES)
def test_the_plate_keeps_its_round_corners(studio: Studio, request_: PosterRequest, style: str) -> None:
    made = studio._styles[style]
    layer = next(one for one in made.layers if isinstance(one, styles.Qr))
    plate = Image.new("RGB", (styles.WIDTH, styles.HEIGHT), "#204060")
    render.mounts(plate, (layer,))
    printed = plate.copy()
    render.person(printed, (layer,), replace(request_, style=style))
    left, top, width, height = layer.box
    rim = [(left, top, left + width, top + 24), (left, top, left + 24, top + height)]
    assert all(plate.crop(box).tobytes() == printed.crop(box).tobytes() for box in rim)
    assert plate.tobytes() != printed.tobytes()


def test_the_contact_sheet_shows_every_style_once(studio: Studio, request_: PosterRequest) -> None:
    data = studio.contact_sheet(request_)
    sheet = opened(data)
    assert sheet.width == 1080 and len(data) < 1_500_000
    assert data == studio.contact_sheet(replace(request_, style="whatever"))
    one = opened(studio.poster(replace(request_, style=STYLES[-1]))).resize((304, 540), Image.Resampling.LANCZOS)
    patch = np.asarray(one.crop((60, 60, 240, 480)), np.int16)
    whole = np.asarray(sheet, np.int16)
    nearest = min(
        float(np.abs(whole[y + 60 : y + 480, x + 60 : x + 240] - patch).mean())
        for y in range(850, 870)
        for x in range(550, 566)
    )
    assert nearest < 3


WITHOUT_FRIBIDI = """
import hashlib, sys
from PIL import features
from bot.pictures.studio import Studio
from tests.unit.pictures.conftest import POSTERS, a_request
assert not features.check("fribidi")
print(hashlib.sha256(Studio(POSTERS).poster(a_request(sys.argv[1]))).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="where libraries are looked for is told to Linux by a variable")
def test_a_machine_without_the_library_that_pillow_sets_text_with_draws_the_same(
    studio: Studio, request_: PosterRequest, tmp_path: Path
) -> None:
    for name in ("libfribidi.so", "libfribidi.so.0"):
        (tmp_path / name).touch()  # found first, and no library
    names = replace(request_, sharer_name="AVATAR 👨‍👩‍👧‍👦 é🇨🇳")
    done = subprocess.run([sys.executable, "-c", WITHOUT_FRIBIDI, names.sharer_name], capture_output=True, text=True,
                          env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [hashlib.sha256(studio.poster(names)).hexdigest()]


@pytest.mark.skipif(not MAPPED.exists(), reason="what a process has open is told by Linux")
def test_posters_of_every_style_open_each_font_file_once(studio: Studio, request_: PosterRequest) -> None:
    studio.contact_sheet(replace(request_, sharer_name="一个不常见的名字🌵"))
    files = (str(fonts.TEXT_FILE.resolve()), str(fonts.EMOJI_FILE.resolve()))
    assert sum(line.rstrip().endswith(files) for line in MAPPED.read_text().splitlines()) == len(files)


def test_an_unknown_style_is_named(studio: Studio, request_: PosterRequest) -> None:
    with pytest.raises(UnknownStyle, match=r"'neon'.*fresh"):
        studio.poster(replace(request_, style="neon"))


@pytest.mark.parametrize(
    ("title", "category", "label"),
    [
        ("有机五常大米 5kg", "fmcg", "大米"),
        ("苹果醋 500ml", "fmcg", "酱"),
        ("云南褚橙 坏果包赔", "", "鲜橙"),
        ("高山云雾茶礼盒", "", "茶"),
        ("中秋礼盒", "", "礼"),
        ("无名好物", "水果", "鲜果"),
        ("便携原汁机", "digital", "厨电"),
        ("有机胡萝卜汁 6瓶", "fmcg", "果汁"),
        ("年度会员卡", "", "卡"),
        ("XYZ", "???", "优选"),
        ("云南古树普洱茶357g*7饼", "fmcg", "茶"),
        ("2*500g 板栗南瓜", "", "时蔬"),
    ],
)
def test_goods_are_drawn_as_what_their_title_names(title: str, category: str, label: str) -> None:
    motifs = goods.load(POSTERS / "goods" / "motifs.toml")
    assert goods.choose(motifs, title, category).label == label
