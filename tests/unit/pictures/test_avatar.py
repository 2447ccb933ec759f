"""Faces: drawn ones, and the guards of the download against a local server that misbehaves."""

import io
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from bot.pictures import avatar
from tests.unit.pictures.names import NASTY


def picture(kind: str = "PNG", side: int = 64) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(out, kind)
    return out.getvalue()


def bomb() -> bytes:
    """A valid PNG header that promises 30000 x 30000 pixels."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = zlib.compress(bytes(1000))
    rest = struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
    return b"\x89PNG\r\n\x1a\n" + body + rest


class Peer(BaseHTTPRequestHandler):
    """Serves what each guard is there for."""

    protocol_version = "HTTP/1.1"
    seen: list[str] = []
    release = threading.Event()

    def do_GET(self) -> None:
        self.seen.append(self.path)
        good = picture()
        answers: dict[str, tuple[int, str, bytes]] = {
            "/good": (200, "image/png", good),
            "/text": (200, "text/html", b"<html>"),
            "/lie": (200, "image/png", b"<svg onload=alert(1)>"),
            "/jpeg-lie": (200, "image/jpeg", good),
            "/cut": (200, "image/png", good[:-30]),
            "/bomb": (200, "image/png", bomb()),
            "/big": (200, "image/png", good + bytes(1_100_000)),
            "/missing": (404, "image/png", good),
        }
        if self.path in answers:
            self._answer(*answers[self.path])
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/endless":
            self._endless()
        else:
            self._drip()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _endless(self) -> None:
        """More than allowed, without saying so before."""
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.close_connection = True
        try:
            for _ in range(64):
                self.wfile.write(bytes(65_536))
        except OSError:
            return

    def _drip(self) -> None:
        """A byte now and then: each read is quick enough, the whole never ends."""
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", "100000")
        self.end_headers()
        try:
            while not self.release.wait(0.05):
                self.wfile.write(b"\x89")
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def peer() -> Iterator[str]:
    Peer.seen.clear()
    Peer.release.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    Peer.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(peer: str, path: str, **more: float) -> bytes | None:
    return avatar.fetch(f"http://{peer}{path}", private_hosts={peer}, **more)  # type: ignore[arg-type]


def test_a_good_picture_comes_back_as_it_is(peer: str) -> None:
    assert fetch(peer, "/good") == picture()
    assert fetch(peer, "/to//good") == picture()


@pytest.mark.parametrize(
    "path", ["/text", "/lie", "/jpeg-lie", "/cut", "/bomb", "/big", "/endless", "/missing", "/to//to//to//good"]
)
def test_what_is_no_decent_picture_gives_none(peer: str, path: str) -> None:
    assert fetch(peer, path) is None
    assert Peer.seen


def test_a_peer_that_drips_is_left_at_the_deadline(peer: str) -> None:
    begun = time.monotonic()
    assert fetch(peer, "/drip", seconds=0.3) is None
    assert time.monotonic() - begun < 30  # it would never end by itself


def test_a_redirect_to_another_host_is_not_followed(peer: str) -> None:
    port = peer.rpartition(":")[2]
    assert fetch(peer, f"/to/http://localhost:{port}/good") is None
    assert Peer.seen == [f"/to/http://localhost:{port}/good"]


@pytest.mark.parametrize(
    "url",
    [
        "http://{peer}/good",
        "file:///etc/passwd",
        "ftp://thirdwx.qlogo.cn/a",
        "http://user@thirdwx.qlogo.cn/a",
        "http://thirdwx.qlogo.cn:22/a",
        "http://thirdwx.qlogo.cn.evil.example/a",
        "http://[::1",
        "",
        "nonsense",
    ],
)
def test_what_is_not_allowed_is_never_asked(peer: str, url: str) -> None:
    assert avatar.fetch(url.format(peer=peer)) is None
    assert not Peer.seen


def test_an_allowed_name_that_leads_inside_is_refused(peer: str) -> None:
    port = peer.rpartition(":")[2]
    assert avatar.fetch(f"http://localhost:{port}/good", {"localhost"}) is None
    assert avatar.fetch("http://localhost/good", {"localhost"}) is None
    assert not Peer.seen


@pytest.mark.parametrize("name", NASTY.values(), ids=NASTY.keys())
def test_every_name_has_a_face_of_its_own_colour(name: str) -> None:
    face = avatar.face(None, name, 120)
    assert face.size == (120, 120) and face.mode == "RGB"
    assert face.tobytes() == avatar.face(b"broken", name, 120).tobytes()
    pixels = np.asarray(face, np.int16)
    ground = pixels[0, 0]
    drawn = np.abs(pixels[30:90, 30:90] - ground).max(axis=2) > 90
    assert drawn.sum() > 30, "only the ground is there"


def test_faces_of_two_names_differ_and_a_picture_wins(peer: str) -> None:
    assert avatar.face(None, "李姐", 96).tobytes() != avatar.face(None, "王芳", 96).tobytes()
    shown = avatar.face(picture("JPEG", 200), "李姐", 96)
    assert shown.tobytes() == avatar.face(picture("JPEG", 200), "王芳", 96).tobytes()
    assert shown.getpixel((48, 2)) != shown.getpixel((48, 93))
