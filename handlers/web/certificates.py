"""``/c/<code>``: whether a certificate is genuine and still valid. Public; says nothing that tells who somebody is."""

import hashlib
from pathlib import Path

import structlog
from flask import Blueprint, Response, render_template
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.kit.jobs import JobContext
from domain.people import queries as people
from domain.roles import certificates
from domain.roles.certificates import CODE_LENGTH, CertificateView
from domain.shared.ids import ALPHABET

log = structlog.get_logger(__name__)

STYLE = Path(__file__).parents[2] / "assets" / "static" / "certificate" / "certificate.css"
POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class _Desk:
    """Looks certificates up and shows what may be said of them."""

    def __init__(self, jobs: JobContext) -> None:
        self._jobs, self._say = jobs, jobs.copy.render
        self._style = STYLE.read_bytes()
        self._version = hashlib.sha256(self._style).hexdigest()[:12]

    def show(self, code: str) -> Response:
        found = self._find(code)
        if found is None:
            return self._notice("unknown", 404)
        view, name = found
        state = "valid" if view.revoked_at is None else "revoked"
        rows = [
            ("name", self._say("certificate.page.holder", name=name)),
            ("number", view.number),
            ("issued", self._say("certificate.page.day", at=view.issued_at)),
            *([("ended", self._say("certificate.page.day", at=view.revoked_at))] if view.revoked_at else []),
            ("issuer", self._jobs.shop.name),
        ]
        return self._page(
            200, tone=view.subject if view.kind == "role" else "badge", state=state, title=view.title,
            period=self._say("certificate.month", period=view.period) if view.period else "",
            status=self._say(f"certificate.page.{state}"), note=self._say("certificate.page.note"),
            rows=[(self._say(f"certificate.page.{label}"), value) for label, value in rows],
        )

    def away(self, fault: Exception) -> Response:
        log.warning("certificate.away", fault=type(fault).__name__)
        response = self._notice("busy", 503)
        response.headers["Retry-After"] = "5"
        return response

    def style(self) -> Response:
        response = Response(self._style, content_type="text/css; charset=utf-8")
        response.headers["Cache-Control"] = "public, max-age=31536000"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _find(self, code: str) -> tuple[CertificateView, str] | None:
        """The certificate, and the holder's name as they call themselves now."""
        if len(code) != CODE_LENGTH or not set(code) <= set(ALPHABET):
            return None
        with self._jobs.begin() as session:
            view = certificates.by_code(session, code)
            holder = people.person(session, view.person_id) if view is not None else None
        return (view, holder.nickname if holder is not None else "") if view is not None else None

    def _notice(self, what: str, status: int) -> Response:
        return self._page(status, tone="", state="unknown", title="", period="", rows=[],
                          status=self._say(f"certificate.page.{what}_title"),
                          note=self._say(f"certificate.page.{what}_text"))

    def _page(self, code: int, **facts: object) -> Response:
        text = render_template("certificate/page.html", shop=self._jobs.shop.name, version=self._version,
                               heading=self._say("certificate.page.title"), **facts)
        response = Response(text, code, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex, noarchive"
        response.headers["Cache-Control"] = "no-store"
        return response


def blueprint(jobs: JobContext) -> Blueprint:
    """The page and its style. It says so in words when the database is away."""
    door = Blueprint("certificates", __name__)
    desk = _Desk(jobs)
    door.add_url_rule("/c/certificate.css", "style", desk.style, methods=["GET"])
    door.add_url_rule("/c/<code>", "show", desk.show, methods=["GET"])
    for kind in (DBAPIError, PoolTimeout):
        door.register_error_handler(kind, desk.away)
    return door
