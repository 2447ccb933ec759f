"""B3 and B4: a person's poster with everything cached, and the first poster of a product.

Ours, the JPEG encode of the same finished picture (the floor) and a plain Pillow + qrcode script that draws
all of it each time (the peer) take turns, so that a busy machine is busy for all three. ``--json`` prints
the rows; times are milliseconds of one poster, ratios are medians over the rounds with lowest and highest.
"""

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import qrcode
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, from anywhere

from bot.pictures import fonts, goods, jpeg, render, styles, wares  # noqa: E402
from bot.pictures.studio import PosterRequest, Studio  # noqa: E402

REPEATS = 5
"""Calls a round; a round's figure is their median."""


def _jpeg(side: int) -> bytes:
    noise = Image.effect_noise((side // 4, side // 4), 40).resize((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    noise.convert("RGB").save(out, "JPEG", quality=88)
    return out.getvalue()


AVATAR = _jpeg(640)
REQUEST = PosterRequest(
    style="festive",
    shop_name="李记有机",
    title="有机五常大米 稻花香2号 5kg",
    price_fen=6_800,
    list_price_fen=9_900,
    points=("产地直发", "现磨现发", "48小时内发货"),
    category="fmcg",
    sku="RICE-5KG",
    product_image=None,
    sharer_name="李姐🌸",
    avatar=AVATAR,
    qr_url="http://weixin.qq.com/q/02aBcDeFgHiJkLmNoPqRsT",
    valid_until="2026-12-22",
)


def naive(backdrop: bytes, photo: bytes, request: PosterRequest) -> bytes:
    """What a tutorial does: opens the designer's backdrop and the photo, draws the rest, saves; keeps nothing."""
    picture = Image.open(io.BytesIO(backdrop)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    shown = Image.open(io.BytesIO(photo)).convert("RGB").resize((920, 920), Image.Resampling.LANCZOS)
    picture.paste(shown, (80, 80))
    face = Image.open(io.BytesIO(request.avatar or b"")).convert("RGB").resize((136, 136), Image.Resampling.LANCZOS)
    cover = Image.new("L", (544, 544))
    ImageDraw.Draw(cover).ellipse((0, 0, 543, 543), fill=255)
    pen.rounded_rectangle((40, 1436, 1040, 1880), 44, fill="#ffffff")
    picture.paste(face, (84, 1478), cover.resize((136, 136), Image.Resampling.LANCZOS))
    lines = [(request.title, 60, 1032), (f"¥{request.price_fen / 100}", 104, 1160)]
    lines += [("  ".join(request.points), 30, 1322), (f"来自@{request.sharer_name}的推荐", 42, 1640)]
    lines += [(f"有效期至 {request.valid_until}", 28, 1752), (request.shop_name, 38, 40)]
    for words, size, top in lines:
        font = ImageFont.truetype(str(fonts.TEXT_FILE), size, index=fonts.TEXT)
        font.set_variation_by_axes([700])
        pen.text((84, top), words, "#222222", font)
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    code.add_data(request.qr_url)
    code.make(fit=True)
    picture.paste(code.make_image().get_image().convert("RGB"), (660, 1468))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=jpeg.QUALITY)
    return out.getvalue()


def run(rounds: int = 7) -> list[dict[str, Any]]:
    """Rows B3 (also with the QR read back) and B4 (the kind of goods drawn before or not, or nothing kept)."""
    studio = Studio(ROOT / "assets" / "posters")
    photo, numbers = _jpeg(1200), count()
    style = styles.load(ROOT / "assets" / "posters")[REQUEST.style]
    backdrop = jpeg.encode(render.backdrop(style.fixed)[0])
    finished = Image.open(io.BytesIO(studio.poster(REQUEST)))
    finished.load()
    fresh = iter(lambda: replace(REQUEST, qr_url=f"{REQUEST.qr_url[:-5]}{next(numbers):05d}"), None)

    def floor() -> None:
        finished.save(io.BytesIO(), "JPEG", quality=jpeg.QUALITY)

    def peer() -> None:
        naive(backdrop, photo, next(fresh))

    def checked() -> None:
        studio.poster(next(fresh))

    def known() -> None:
        studio.compose(replace(REQUEST, sku=f"NEW-{next(numbers)}", title=f"有机五常大米 {next(numbers)}号"))

    def cold() -> None:
        wares.draw.cache_clear()
        wares.glyph.cache_clear()
        known()

    def coldest() -> None:
        wares.draw.cache_clear()
        wares.glyph.cache_clear()
        goods.stage.cache_clear()
        Studio(ROOT / "assets" / "posters").compose(REQUEST)

    rows: dict[str, Callable[[], object]] = {
        "B3 poster, steady state": lambda: studio.compose(next(fresh)),
        "B3 with QR read back twice": checked,
        "B4 new product of a new kind": cold,
        "B4 new product of a known kind": known,
        "B4 first poster of a process": coldest,
    }
    return [_measure(row, ours, floor, peer, rounds) for row, ours in rows.items()]


def _measure(
    row: str, ours: Callable[[], object], floor: Callable[[], object], peer: Callable[[], object], rounds: int
) -> dict[str, Any]:
    taken: dict[str, list[float]] = {"ours": [], "floor": [], "peer": []}
    for _ in range(rounds):
        for name, work in (("ours", ours), ("floor", floor), ("peer", peer)):
            taken[name].append(statistics.median(_clocked(work) for _ in range(REPEATS)))
    to_floor = [a / b for a, b in zip(taken["ours"], taken["floor"], strict=True)]
    to_peer = [b / a for a, b in zip(taken["ours"], taken["peer"], strict=True)]
    medians = {name: round(statistics.median(times), 3) for name, times in taken.items()}
    return {"row": row, "unit": "ms", **medians, "ratio_floor": _spread(to_floor), "ratio_peer": _spread(to_peer)}


def _spread(ratios: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(ratios), 3),
        "lo": round(min(ratios), 3),
        "hi": round(max(ratios), 3),
    }


def _clocked(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    rows = run(asked.rounds)
    if asked.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        floor, peer = row["ratio_floor"], row["ratio_peer"]
        print(
            f"{row['row']:34} ours {row['ours']:8.2f}  floor {row['floor']:7.2f}  peer {row['peer']:8.2f} ms   "
            f"{floor['median']:.2f} x floor ({floor['lo']:.2f}-{floor['hi']:.2f})   "
            f"{peer['median']:.1f} x faster than the peer ({peer['lo']:.1f}-{peer['hi']:.1f})"
        )


if __name__ == "__main__":
    main()
