"""Pictures as sketches: a rehearsal counts what is sent and scanned; drawing it would take most of its time."""

from pathlib import Path

from bot.pictures.certificate import CertificateRequest, Certificates
from bot.pictures.request import PosterRequest
from bot.pictures.studio import Studio


class SketchStudio(Studio):
    """Knows the real styles, and gives bytes that only hold what the code of the poster would say."""

    def poster(self, request: PosterRequest) -> bytes:
        return f"poster of {request.sku} {request.qr_url} ".encode()

    def contact_sheet(self, request: PosterRequest) -> bytes:
        return f"all styles {request.qr_url} ".encode()


class SketchCertificates(Certificates):
    def draw(self, request: CertificateRequest) -> bytes:
        return f"certificate {request.number} {request.title} {request.url} ".encode()


def sketches(assets: Path) -> tuple[SketchStudio, SketchCertificates]:
    return SketchStudio(assets / "posters"), SketchCertificates(assets / "certificates")
