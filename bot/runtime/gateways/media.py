"""Temporary media ids by content: the same picture is uploaded once in 60 hours, whoever asks."""

import hashlib
from datetime import timedelta
from io import BytesIO

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.gateway import Outcome, SendResult
from bot.runtime.gateways.account import RealTime
from bot.runtime.gateways.attempts import Api
from bot.runtime.gateways.calls import Calls
from bot.runtime.gateways.faults import Answer, Kind, Refusal
from bot.runtime.gateways.locks import Locks, LockTimeout
from bot.runtime.gateways.transport import PlatformClient
from domain.platform import service as platform

UPLOAD = Api("media/upload")
MEDIA_LIFE = timedelta(hours=60)
"""The platform forgets after three days; half a day is left for the message to be opened."""

MAX_IMAGE = 2 * 1024 * 1024
"""Bytes. One page of the platform says 10 MB, another 2 MB."""

LOCK_REST = timedelta(seconds=10)


class MediaCache:
    """The uploads of one app."""

    def __init__(self, app_id: str, engine: Engine, calls: Calls, locks: Locks, real: RealTime) -> None:
        self._app_id = app_id
        self._engine = engine
        self._calls = calls
        self._locks = locks
        self._real = real

    def media_id(self, jpeg: bytes) -> str | Refusal:
        """The media id of these bytes, from the cache or by one upload; equal bytes wait for each other."""
        if not 0 < len(jpeg) <= MAX_IMAGE:
            return Refusal(Kind.HELD, SendResult(Outcome.REJECTED, detail=f"image of {len(jpeg)} bytes"))
        digest = hashlib.sha256(jpeg).digest()
        if cached := self._cached(digest):
            return cached
        try:
            with self._locks.hold(f"media {self._app_id} {digest.hex()}"):
                return self._cached(digest) or self._upload(jpeg, digest)
        except LockTimeout:
            retry_at = self._real.now() + LOCK_REST
            return Refusal(Kind.HELD, SendResult(Outcome.BACK_OFF, 0, "another upload hangs", retry_at))

    def forget(self, jpeg: bytes, media_id: str) -> None:
        """The platform does not know ``media_id`` any more."""
        with Session(self._engine) as session, session.begin():
            platform.forget_media(session, self._app_id, hashlib.sha256(jpeg).digest(), media_id)

    def _cached(self, digest: bytes) -> str | None:
        with Session(self._engine) as session, session.begin():
            return platform.media_of(session, self._app_id, digest, self._real.now() - MEDIA_LIFE)

    def _upload(self, jpeg: bytes, digest: bytes) -> str | Refusal:
        uploaded_at = self._real.now()

        def upload(client: PlatformClient) -> Answer:
            # A new stream for every try: one that was read to its end would upload an empty file.
            answer: Answer = client.media.upload("image", ("image.jpg", BytesIO(jpeg), "image/jpeg"))
            return answer

        answer = self._calls.run(UPLOAD, upload)
        if isinstance(answer, Refusal):
            return answer
        media_id = answer.get("media_id")
        if not isinstance(media_id, str) or not media_id:
            retry_at = self._real.now() + LOCK_REST
            return Refusal(Kind.UNCERTAIN, SendResult(Outcome.BACK_OFF, 0, "upload without a media id", retry_at))
        with Session(self._engine) as session, session.begin():
            platform.keep_media(session, self._app_id, digest, media_id, uploaded_at)
        return media_id
