"""B3 and B4: a person's poster with everything cached, and the first poster of a product.

Ours, the JPEG encode of the same finished picture (the floor) and a plain Pillow + qrcode script that draws
all of it each time (the peer) take turns, so that a busy machine is busy for all three. ``--json`` prints
the rows; times are milliseconds of one poster, ratios are medians over the rounds with lowest and highest.

What a worker keeps on disk (``bot/pictures/shelf``) is there, but for the last row. First posters of a process are
made by a child that was born for each of them (``bench/fresh``), in a style and of a kind that it has not drawn yet.
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path
from typing import Any

import qrcode
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, from anywhere

from bot.pictures import fonts, goods, jpeg, render, styles  # noqa: E402
from bot.pictures.shelf import Shelf  # noqa: E402
from bot.pictures.studio import PosterRequest, Studio  # noqa: E402

STYLES = ROOT / "assets" / "posters"
PEERS, PEER_PYTHON = ROOT / "bench" / "peers", ROOT / ".venv-bench" / "bin" / "python"
REPEATS = 5
"""Calls a round; a round's figure is their median."""

Work = Callable[[], float]
"""Does something and says how many milliseconds it took."""


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
    """Rows B3 (also with the QR read back) and B4, from what is mostly there to nothing at all."""
    with tempfile.TemporaryDirectory(prefix="huitou-bench-") as folder:
        return _rows(Path(folder), rounds)


def _rows(folder: Path, rounds: int) -> list[dict[str, Any]]:
    studio = Studio(STYLES, Shelf(folder))
    for _ in studio.prepare():
        pass
    photo, numbers = _jpeg(1200), count()
    backdrop = jpeg.encode(render.backdrop(styles.load(STYLES)[REQUEST.style].behind))
    kinds = cycle(motif.words[0] for motif in goods.load(STYLES / "goods" / "motifs.toml"))
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

    def other_kind() -> None:
        studio.compose(replace(REQUEST, sku=f"NEW-{next(numbers)}", title=next(kinds), category=""))

    with _born(folder, warmed=True) as of_worker, _born(folder) as of_process, _born(None) as of_machine:
        rows: dict[str, Work] = {
            "B3 poster, steady state": _timed(lambda: studio.compose(next(fresh))),
            "B3 with QR read back twice": _timed(checked),
            "B4 new product of a new kind": _timed(other_kind),
            "B4 new product of a known kind": _timed(known),
            "B4 first poster of a worker": of_worker,
            "B4 first of a cold process": of_process,
            "B4 nothing kept anywhere": of_machine,
        }
        made = [_measure(row, ours, _timed(floor), _timed(peer), rounds) for row, ours in rows.items()]
    return [*made, *_others(folder, backdrop, photo, _timed(other_kind), _timed(floor), rounds)]


def _others(
    folder: Path, backdrop: bytes, photo: bytes, ours: Work, floor: Work, rounds: int
) -> Iterator[dict[str, Any]]:
    """A new product's poster against the other peers, each in a process of its own that has drawn one before."""
    code = io.BytesIO()
    qrcode.make(REQUEST.qr_url).save(code)
    given = {"font": fonts.SERIF_FILE.read_bytes(), "backdrop.jpg": backdrop, "photo.jpg": photo,
             "face.jpg": AVATAR, "code.png": code.getvalue()}
    for name, data in given.items():
        (folder / name).write_bytes(data)
    files = [str(folder / name) for name in given]
    for name, command in (("pyvips", [str(PEER_PYTHON), str(PEERS / "vips_poster.py")]),
                          ("satori and resvg", [shutil.which("node") or "node", str(PEERS / "satori" / "poster.mjs")])):
        row = f"B4 against {name}"
        try:
            with _speaking([*command, *files]) as peer:
                peer()
                yield _measure(row, ours, floor, peer, rounds, 2)
        except (OSError, ValueError) as fault:
            yield {"row": row, "not_measured": f"{name} does not run here: {fault}"}


def _born(folder: Path | None, warmed: bool = False) -> AbstractContextManager[Work]:
    """A process that bears a child for each poster; see bench/fresh."""
    return _speaking([sys.executable, "-m", "bench.fresh", str(folder or ""), "warmed" if warmed else ""])


@contextmanager
def _speaking(command: list[str]) -> Iterator[Work]:
    """A process that makes a poster for each line it reads and says how long it took. Raises OSError or ValueError
    when it cannot."""
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin and parent.stdout
        parent.stdout.readline()
        asked, told = parent.stdin, parent.stdout

        def first() -> float:
            asked.write("\n")
            asked.flush()
            return float(told.readline())

        yield first
        asked.close()


def _measure(
    row: str, ours: Work, floor: Work, peer: Work, rounds: int, repeats: int = REPEATS
) -> dict[str, Any]:
    taken: dict[str, list[float]] = {"ours": [], "floor": [], "peer": []}
    for _ in range(rounds):
        for name, work in (("ours", ours), ("floor", floor), ("peer", peer)):
            taken[name].append(statistics.median(work() for _ in range(repeats)))
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


def _timed(work: Callable[[], object]) -> Work:
    def timed() -> float:
        begun = time.perf_counter()
        work()
        return (time.perf_counter() - begun) * 1e3

    return timed


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
        if "not_measured" in row:
            print(f"{row['row']:34} not measured: {row['not_measured']}")
            continue
        floor, peer = row["ratio_floor"], row["ratio_peer"]
        print(
            f"{row['row']:34} ours {row['ours']:8.2f}  floor {row['floor']:7.2f}  peer {row['peer']:8.2f} ms   "
            f"{floor['median']:.2f} x floor ({floor['lo']:.2f}-{floor['hi']:.2f})   "
            f"{peer['median']:.1f} x faster than the peer ({peer['lo']:.1f}-{peer['hi']:.1f})"
        )


if __name__ == "__main__":
    main()
