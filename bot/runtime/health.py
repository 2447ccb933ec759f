"""``/healthz`` (this process lives), ``/readyz`` (what it needs is there), ``/metrics``."""

import hmac
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from bot.runtime import metrics
from bot.runtime.secret import Secret
from bot.runtime.settings import Settings
from domain import migrations

CAP_SECONDS = 1.0
"""A database that needs longer for ``select`` is not there."""
MIN_FREE = 5
"""Per cent of the disk under HUITOU_HOME; below, PostgreSQL and posters are about to fail."""


def blueprint(settings: Settings, engine: Engine, now: Callable[[], datetime] | None = None) -> Blueprint:
    """The three paths. ``now``: the shop's clock, real time if not given. Uses its own connection for checks, so that a
    busy pool does not look like a dead database."""
    pages = Blueprint("health", __name__)
    checks = Checks(engine, settings.redis_url, settings.home)
    merchants = _merchants(settings)

    @pages.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @pages.get("/readyz")
    def readyz() -> tuple[Response, int]:
        found = checks.run()
        return jsonify(found), 503 if found["status"] == "unready" else 200

    @pages.get("/metrics")
    def show_metrics() -> Response:
        if not may_read_metrics(settings.metrics_token):
            return Response("not for you\n", 403, mimetype="text/plain")
        return Response(metrics.render(engine, merchants, now() if now else None), mimetype="text/plain; version=0.0.4")

    return pages


def _merchants(settings: Settings) -> dict[str, datetime]:
    """Until when the certificates of our merchants are valid, of those that are in the settings."""
    certificates = {name: account.certificate for name, account in settings.pay.items() if account.certificate}
    if not certificates:
        return {}
    from bot.runtime import pem

    return {name: pem.certificate_ends(text) for name, text in certificates.items()}


def may_read_metrics(token: Secret) -> bool:
    """With a token: who has it. Without one: who reaches us directly, not through the public proxy."""
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), token.reveal().encode())
    return not {"X-Forwarded-For", "Forwarded", "X-Real-Ip"} & set(request.headers.keys())


class Checks:
    """What readiness depends on. The cache may be down: slower, nothing lost (it is only the doorbell)."""

    def __init__(self, engine: Engine, redis_url: str, home: Path) -> None:
        self._engine = create_engine(engine.url, poolclass=NullPool, connect_args={
            "connect_timeout": 2, "options": f"-c statement_timeout={int(CAP_SECONDS * 1000)}"})
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._home = home
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="readyz")

    def run(self) -> dict[str, Any]:
        """``{"status": ready | degraded | unready, "checks": {name: "ok" or what is wrong}}``."""
        database = self._database()
        disk = free_disk(self._home)
        needed = {"database": database, "disk": "ok" if disk >= MIN_FREE else f"only {disk} % free"}
        cache = self._cache()
        status = "unready" if any(value != "ok" for value in needed.values()) else (
            "ready" if cache == "ok" else "degraded")
        return {"status": status, "checks": {**needed, "cache": cache}}

    def _database(self) -> str:
        try:
            revision = self._pool.submit(self._revision).result(CAP_SECONDS)
        except FutureTimeout:
            return f"no answer within {CAP_SECONDS:.0f} s"
        except SQLAlchemyError as error:
            return type(error).__name__
        return "ok" if revision == migrations.head() else (
            f"schema is at {revision or 'nothing'}, this code needs {migrations.head()}")

    def _revision(self) -> str:
        with self._engine.connect() as db:
            return migrations.current(db)

    def _cache(self) -> str:
        try:
            self._redis.ping()
        except redis.RedisError as error:
            return type(error).__name__
        return "ok"


def free_disk(home: Path) -> int:
    """Whole per cent of the disk under ``home`` that is free."""
    there = next(path for path in (home, *home.parents) if path.exists())
    usage = shutil.disk_usage(there)
    return usage.free * 100 // usage.total
