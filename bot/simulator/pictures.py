"""Pictures in the simulator: kept media, what counts as an image, and QR codes drawn and really decoded."""

import io
import secrets
import warnings
from datetime import datetime, timedelta

from PIL import Image
from sqlalchemy import Connection

from bot.simulator.store import KEPT_PICTURES, Row, row, run

MEDIA_LIFE = timedelta(days=3)
MAX_IMAGE_BYTES = 2 * 1024 * 1024
MAX_THUMB_BYTES = 64 * 1024
MAX_PIXELS = 40_000_000
_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif"}


def mime_of(content: bytes) -> str | None:
    """The MIME type if these bytes are a whole JPEG, PNG or GIF of sane size, else None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=list(_MIME)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return None
                picture.load()
                return _MIME.get(picture.format or "")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def decode_qr(content: bytes) -> str | None:
    """The text of the first QR code in a picture, or None. Reads the pixels, as a phone does."""
    import zxingcpp  # only where somebody really looks at a picture

    with Image.open(io.BytesIO(content), formats=list(_MIME)) as picture:
        found = zxingcpp.read_barcodes(picture.convert("RGB"), formats=zxingcpp.BarcodeFormat.QRCode)
    return next((code.text for code in found if code.valid), None)


def draw_qr(content: str) -> bytes:
    """A JPEG of a QR code with its quiet zone, as showqrcode gives it."""
    import qrcode

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=12, border=4)
    code.add_data(content)
    code.make(fit=True)
    sink = io.BytesIO()
    code.make_image().get_image().convert("RGB").save(sink, "JPEG", quality=92)
    return sink.getvalue()


def keep(connection: Connection, account: str, mime: str, content: bytes, now: datetime) -> str:
    """Store temporary media; returns its media id (64 characters, unguessable). Dead after three days."""
    media_id = secrets.token_urlsafe(48)
    made = row(connection, """
        insert into sim.media (id, account, mime, content, created_at, expires_at)
        values (:id, :account, :mime, :content, :now, :until) returning position""",
        id=media_id, account=account, mime=mime, content=content, now=now, until=now + MEDIA_LIFE)
    if made:
        run(connection, "delete from sim.media where position <= :old", old=made["position"] - KEPT_PICTURES)
    return media_id


def usable(connection: Connection, account: str, media_id: object, now: datetime) -> bool:
    """Whether the platform would still send this media of this account."""
    return isinstance(media_id, str) and row(
        connection, "select 1 as one from sim.media where id = :id and account = :account and expires_at > :now",
        id=media_id, account=account, now=now) is not None


def load(connection: Connection, media_id: str) -> Row | None:
    """A stored picture, dead or alive: a phone keeps what it has once shown."""
    return row(connection, "select * from sim.media where id = :id", id=media_id)
