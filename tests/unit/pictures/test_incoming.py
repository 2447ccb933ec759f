"""What somebody sends is encoded anew, or refused with a reason; nothing of the file itself is kept."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from bot.pictures import incoming
from bot.pictures.incoming import KEPT_BYTES, Taken, Unfit, taken


def picture(width: int = 900, height: int = 700, colour: str = "#c25b3a") -> Image.Image:
    made = Image.new("RGB", (width, height), "#f2e8da")
    ImageDraw.Draw(made).ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=colour)
    return made


def encoded(made: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def opened(kept: Taken) -> Image.Image:
    found = Image.open(io.BytesIO(kept.jpeg))
    found.load()
    return found


def refused(data: bytes) -> str:
    with pytest.raises(Unfit) as refusal:
        taken(data)
    return refusal.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_kept_as_a_jpeg_of_our_own(kind: str) -> None:
    kept = taken(encoded(picture(), kind))
    found = opened(kept)
    assert (found.format, found.mode, found.size, (kept.width, kept.height)) == ("JPEG", "RGB", (900, 700), (900, 700))
    red, green, _ = found.getpixel((450, 350))
    assert red > 150 and green < 130, "it still shows what it showed"


def test_place_camera_comment_and_profile_are_gone_and_it_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "CANARYCAMERA", 6
    exif.get_ifd(0x8825)[1] = "N"
    data = encoded(picture(), exif=exif, comment=b"CANARYCOMMENT", icc_profile=b"CANARYPROFILE" * 9)
    kept = taken(data)
    found = opened(kept)
    assert found.size == (700, 900), "turned as the camera said"
    assert b"CANARY" in data and b"CANARY" not in kept.jpeg
    assert dict(found.getexif()) == {} and not {"exif", "comment", "icc_profile"} & found.info.keys()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "CANARYCOMMENT")
    assert b"CANARY" not in taken(encoded(picture(), "PNG", pnginfo=notes)).jpeg


def test_what_hides_behind_the_pixels_is_gone() -> None:
    assert b"CANARY" not in taken(encoded(picture()) + b"PK\x03\x04 CANARY").jpeg


def test_a_large_one_is_made_smaller_and_noise_fits_too() -> None:
    large = taken(encoded(picture(4_000, 3_000)))
    assert (large.width, large.height) == (1_600, 1_200)
    noise = taken(encoded(Image.effect_noise((2_000, 2_000), 120).convert("RGB"), quality=95))
    assert len(noise.jpeg) <= KEPT_BYTES
    clear = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    assert opened(taken(encoded(clear, "PNG"))).getpixel((9, 9)) == (255, 255, 255), "see-through is white"


def test_what_is_no_picture_is_refused() -> None:
    whole = encoded(picture())
    for data in (b"", b"hello", b"<svg/>", b"\xff\xd8\xff", whole[:-len(whole) // 2], encoded(picture(), "BMP"),
                 encoded(picture(), "TIFF")):
        assert refused(data) == "not_a_picture"


@pytest.mark.parametrize(("kind", "reason"), [("GIF", "moving"), ("PNG", "moving"), ("WEBP", "moving")])
def test_a_moving_one_is_refused(kind: str, reason: str) -> None:
    frames = [picture(colour=colour) for colour in ("#c25b3a", "#3a6bc2")]
    assert refused(encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=90)) == reason


def test_one_pixel_a_strip_and_a_bomb_are_refused_by_their_headers() -> None:
    assert refused(encoded(picture(1, 1))) == "too_small"
    assert refused(encoded(picture(900, 319))) == "too_small"
    assert refused(encoded(picture(400, 1_201))) == "too_long"
    assert refused(encoded(Image.new("1", (8_000, 5_001)), "PNG")) == "too_large"
    assert refused(encoded(Image.new("1", (20_000, 20_000)), "PNG")) == "too_large"


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(0, 3_000), st.integers(0, 3_000))
def test_a_damaged_one_never_gets_past(junk: bytes, at: int, width: int) -> None:
    data = encoded(picture(400, 400))
    try:
        kept = taken(data[:at] + junk + data[at + width:])
    except Unfit as refusal:
        assert refusal.reason in {"not_a_picture", "moving", "too_large", "too_small", "too_long"}
    else:
        assert opened(kept).format == "JPEG" and max(kept.width, kept.height) <= incoming.LONGEST_SIDE


@pytest.mark.parametrize(("mode", "colour", "seen"), [
    ("CMYK", (0, 255, 255, 0), (255, 0, 0)), ("I;16", 32_768, (128, 128, 128)), ("LA", (90, 255), (90, 90, 90)),
    ("RGBA", (0, 0, 0, 0), (255, 255, 255)), ("1", 0, (0, 0, 0)), ("P", 0, (0, 0, 0))])
def test_every_way_to_write_colours_shows_the_same(mode: str, colour: object, seen: tuple[int, int, int]) -> None:
    """Faces and photos of goods come as whatever a camera or a program made of them."""
    data = encoded(Image.new(mode, (300, 300), colour), "JPEG" if mode == "CMYK" else "PNG")  # type: ignore[arg-type]
    found = incoming.fitted(data, 60, 60)
    assert found is not None and found.mode == "RGB"
    near = found.getpixel((30, 30))
    assert isinstance(near, tuple) and max(abs(a - b) for a, b in zip(near, seen, strict=True)) <= 2


def test_a_face_is_turned_upright_and_a_moving_one_stands_still_at_its_first_picture() -> None:
    lying = Image.new("RGB", (300, 200), "#0000ff")
    lying.paste("#ff0000", (0, 0, 150, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = incoming.fitted(encoded(lying, exif=exif), 60, 90)
    assert upright is not None
    assert upright.getpixel((30, 8))[0] > 200 and upright.getpixel((30, 82))[2] > 200  # type: ignore[index]
    frames = [Image.new("RGB", (200, 200), colour) for colour in ("#ff0000", "#00ff00")]
    first = incoming.fitted(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]), 60, 60)
    assert first is not None and first.getpixel((30, 30))[0] > 240  # type: ignore[index]


@pytest.mark.parametrize("size", [(1, 1), (8_000, 1), (15, 400)])
def test_what_is_too_narrow_to_show_anything_is_no_face(size: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size, "#ff0000"), "PNG")
    assert incoming.fitted(data, 60, 60) is None and not incoming.sound(data, "image/png")
    vector = b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='90'/>"
    assert incoming.fitted(vector, 60, 60) is None and not incoming.sound(vector, "image/png")
