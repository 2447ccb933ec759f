"""Pictures in small: quick to draw, and their QR is as real as the true ones'.

Most dialogue tests scan a picture or see that one came; drawing it in full, which tests/unit/pictures is about and the
tests that ask for ``drawn`` do, would take a tenth of their time.
"""

import hashlib
import io
from functools import cache

from PIL import Image

from bot.pictures import qr
from bot.pictures.certificate import CertificateRequest, Certificates
from bot.pictures.request import PosterRequest
from bot.pictures.studio import Studio
from bot.runtime import bootstrap

ROOM = 400
"""Pixels: what a code may take."""


class SketchStudio(Studio):
    """The styles are the real ones, and an unknown one or an address without a code is refused as by the real one.
    Pictures of customers' own are drawn in full."""

    def poster(self, request: PosterRequest) -> bytes:
        self._style(request.style)
        return _sketch(request.qr_url, repr(request))

    def contact_sheet(self, request: PosterRequest) -> bytes:
        return _sketch(request.qr_url, f"every style of {request}")


class SketchCertificates(Certificates):
    """The tones are the real ones."""

    def draw(self, request: CertificateRequest) -> bytes:
        if request.tone not in self.tones():
            raise KeyError(request.tone)
        return _sketch(request.url, repr(request))


@cache
def sketch_studio() -> SketchStudio:
    """One a test run, as reading the styles takes long."""
    return SketchStudio(bootstrap.ASSETS / "posters")


@cache
def sketch_certificates() -> SketchCertificates:
    return SketchCertificates(bootstrap.ASSETS / "certificates")


def _sketch(url: str, says: str) -> bytes:
    """A grey JPEG of the code. It is signed with what it ``says``, so that pictures of different things differ."""
    sink = io.BytesIO()
    code: Image.Image = qr.draw(url, ROOM)
    code.save(sink, "JPEG", quality=80, comment=hashlib.sha256(says.encode()).digest())
    return sink.getvalue()
