"""Photos of goods: asked for once in a while, misses too, and only over https."""

from bot.pictures.photos import Photos


class Outside:
    """A clock and a shop's server."""

    def __init__(self) -> None:
        self.at, self.asked = 0.0, list[str]()
        self.photos: dict[str, bytes] = {"https://shop.example/a.jpg": b"jpeg"}

    def fetch(self, url: str) -> bytes | None:
        self.asked.append(url)
        return self.photos.get(url)


def make() -> tuple[Outside, Photos]:
    outside = Outside()
    return outside, Photos(outside.fetch, lambda: outside.at)


def test_a_photo_is_fetched_once_in_ten_minutes() -> None:
    outside, photos = make()
    assert [photos.get("https://shop.example/a.jpg") for _ in range(3)] == [b"jpeg"] * 3
    assert len(outside.asked) == 1
    outside.at = 601
    photos.get("https://shop.example/a.jpg")
    assert len(outside.asked) == 2


def test_a_miss_is_asked_again_after_a_minute() -> None:
    outside, photos = make()
    assert photos.get("https://shop.example/b.jpg") is None
    outside.at = 59
    assert photos.get("https://shop.example/b.jpg") is None
    assert len(outside.asked) == 1
    outside.at, outside.photos["https://shop.example/b.jpg"] = 61, b"now"
    assert photos.get("https://shop.example/b.jpg") == b"now"


def test_only_https_is_asked() -> None:
    outside, photos = make()
    assert [photos.get(url) for url in ("", "http://shop.example/a.jpg", "file:///etc/passwd")] == [None] * 3
    assert outside.asked == []


def test_it_keeps_a_bounded_number() -> None:
    outside, photos = make()
    for number in range(100):
        photos.get(f"https://shop.example/{number}.jpg")
    photos.get("https://shop.example/0.jpg")
    assert len(outside.asked) == 101


def test_private_addresses_are_refused() -> None:
    assert Photos().get("https://127.0.0.1/a.jpg") is None
    assert Photos().get("https://localhost/a.jpg") is None
