"""What is kept on disk changes how long a poster takes, never a byte of it, whatever happens to the files."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.pictures.shelf import Shelf
from bot.pictures.studio import PosterRequest, Studio
from tests.unit.pictures.conftest import POSTERS

MOTIF = """
[[motif]]
words = ["*"]
form = "jar"
glyph = "🐝"
beside = ["🌼", "🌸"]
tint = "#e0a030"
label = "蜜"
"""
FILL = """
import sys
from pathlib import Path
from bot.pictures.shelf import Shelf
from bot.pictures.studio import Studio
print(sum(1 for _ in Studio(Path(sys.argv[1]), Shelf(Path(sys.argv[2]))).prepare()))
"""
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def styles_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One style, and one thing to draw in it."""
    folder = tmp_path_factory.mktemp("styles")
    (folder / "10-fresh.toml").write_bytes((POSTERS / "10-fresh.toml").read_bytes())
    (folder / "goods").mkdir()
    (folder / "goods" / "motifs.toml").write_text(MOTIF, "utf-8")
    return folder


@pytest.fixture(scope="module")
def plain(styles_dir: Path, request_: PosterRequest) -> bytes:
    """The poster as it is without a shelf."""
    return Studio(styles_dir).poster(request_)


@pytest.fixture(scope="module")
def filled(styles_dir: Path, plain: bytes, request_: PosterRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shelf that one poster leaves: to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    assert Studio(styles_dir, Shelf(folder)).poster(request_) == plain
    return folder


@pytest.fixture
def shelf(filled: Path, tmp_path: Path) -> Path:
    """A shelf as one poster leaves it."""
    return Path(shutil.copytree(filled, tmp_path / "shelf"))


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_bytes_without_a_shelf_with_a_new_one_and_with_a_full_one(
    studio: Studio, request_: PosterRequest, tmp_path: Path
) -> None:
    asked = [replace(request_, style=style.key) for style in studio.styles()[::3]]
    expected = [studio.compose(one) for one in asked]
    for _ in range(2):
        other = Studio(POSTERS, Shelf(tmp_path / "shelf"))
        assert [other.compose(one) for one in asked] == expected
    assert len(parts(tmp_path / "shelf")) >= 2 * len(asked) > 2


def test_what_is_kept_is_used(tmp_path: Path) -> None:
    """Proof by colour: the kept picture is what is shown."""
    red = Image.new("RGB", (4, 4), "#ff0000")
    assert Shelf(tmp_path).get("a card", lambda: red).tobytes() == red.tobytes()
    kept = Shelf(tmp_path).get("a card", lambda: Image.new("RGB", (4, 4), "#0000ff"))
    assert kept.tobytes() == red.tobytes()
    assert Shelf(tmp_path).get("another", lambda: Image.new("L", (2, 2), 7), packed=True).getpixel((1, 1)) == 7


def test_all_is_prepared_once_and_then_nothing(styles_dir: Path, plain: bytes, request_: PosterRequest,
                                               tmp_path: Path) -> None:
    assert sum(1 for _ in Studio(styles_dir, Shelf(tmp_path)).prepare()) == 3  # backdrop, stage, jar
    assert sum(1 for _ in Studio(styles_dir, Shelf(tmp_path)).prepare()) == 0
    assert Studio(styles_dir, Shelf(tmp_path)).poster(request_) == plain
    assert len(parts(tmp_path)) == 3
    assert sum(1 for _ in Studio(styles_dir).prepare()) == 0


@pytest.mark.parametrize("damage", [
    lambda path: os.truncate(path, path.stat().st_size // 2),
    lambda path: os.truncate(path, path.stat().st_size - 1),
    lambda path: os.truncate(path, 20),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"something else entirely " * 4_000),
    lambda path: path.write_bytes(path.read_bytes() + b"more"),
    lambda path: path.unlink(),
    lambda path: (path.unlink(), path.mkdir()),
], ids=["half", "last byte", "head", "empty", "foreign", "longer", "gone", "folder"])
def test_a_broken_file_is_drawn_again(styles_dir: Path, plain: bytes, request_: PosterRequest, shelf: Path,
                                      damage: Damage) -> None:
    good = parts(shelf)
    for name in good:
        damage(shelf / name)
    assert Studio(styles_dir, Shelf(shelf)).poster(request_) == plain
    if not any((shelf / name).is_dir() for name in good):
        assert parts(shelf) == good, "mended"


def test_files_that_changed_places_are_not_believed(styles_dir: Path, plain: bytes, request_: PosterRequest,
                                                    shelf: Path) -> None:
    good = parts(shelf)
    for name, data in zip(good, list(good.values())[::-1], strict=True):
        (shelf / name).write_bytes(data)
    assert Studio(styles_dir, Shelf(shelf)).poster(request_) == plain
    assert parts(shelf) == good


def test_a_worker_that_starts_finds_the_byte_that_changed(styles_dir: Path, shelf: Path) -> None:
    good = parts(shelf)
    for name, data in good.items():
        middle = len(data) // 2
        (shelf / name).write_bytes(data[:middle] + bytes((data[middle] ^ 1,)) + data[middle + 1:])
    assert sum(1 for _ in Studio(styles_dir, Shelf(shelf)).prepare()) == len(good)
    assert parts(shelf) == good


def test_where_nothing_can_be_written_posters_are_drawn(styles_dir: Path, plain: bytes, request_: PosterRequest,
                                                        tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/huitou")):
        studio = Studio(styles_dir, Shelf(folder))
        assert studio.poster(request_) == plain
        assert sum(1 for _ in studio.prepare()) == 0


def test_two_processes_that_fill_one_shelf_at_once(styles_dir: Path, plain: bytes, request_: PosterRequest,
                                                   tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    both = [subprocess.Popen([sys.executable, "-c", FILL, styles_dir, shelf], text=True, stdout=subprocess.PIPE,
                             env={"PYTHONPATH": str(POSTERS.parents[1])}) for _ in range(2)]
    drawn = [int(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert max(drawn) <= 3 <= sum(drawn)
    assert len(parts(shelf)) == 3 and all(name.endswith(".part") for name in parts(shelf)), "no draft is left"
    assert sum(1 for _ in Studio(styles_dir, Shelf(shelf)).prepare()) == 0
    assert Studio(styles_dir, Shelf(shelf)).poster(request_) == plain


def test_what_was_not_used_for_longest_leaves_when_there_is_too_much(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, most_bytes=40_000)  # three of 12 000 bytes and a little each
    for number in range(3):
        before = set(tmp_path.iterdir())
        shelf.get(number, lambda: Image.new("L", (100, 120)))
        (new,) = set(tmp_path.iterdir()) - before
        os.utime(new, (0, 1_000_000 + number))
    shelf.get(0, lambda: Image.new("L", (100, 120), 9))  # used: now the youngest
    shelf.get(3, lambda: Image.new("L", (100, 120)))
    assert sum(map(len, parts(tmp_path).values())) <= 40_000
    assert [shelf.is_sound(number) for number in range(4)] == [True, False, True, True]


def test_drafts_of_processes_that_died_are_removed_after_an_hour(tmp_path: Path) -> None:
    for name, age in ((".old", 4_000), (".young", 60)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    Shelf(tmp_path).get("something", lambda: Image.new("L", (2, 2)))
    assert sorted(name for name in parts(tmp_path) if name.startswith(".")) == [".young"]
