"""Opens personal links: who it is, which page, and a friendly word when the link does not hold."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from flask import Blueprint, Response, jsonify, render_template, request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.kit.gateway import GatewayError
from bot.kit.jobs import JobContext
from bot.kit.jssdk import SCRIPT, JsSdk
from bot.kit.links import LinkRefused, Links
from domain.people import queries as people
from handlers.web.h5.pages import Content, File, NotThere, Page, Visit

log = structlog.get_logger(__name__)

STYLE = Path(__file__).parents[3] / "assets" / "static" / "h5" / "h5.css"
POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' https:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
TAG_STYLES = "style-src 'self' 'unsafe-inline'; frame-src https://*.qq.com"
"""What WeChat's open tags bring into a page: a style x."""
SDK_HOST = "https://" + urlsplit(SCRIPT).netloc
LONGEST_FORM = 16 * 1024
LONGEST_VALUE = 200
LONGEST_ADDRESS = 1_000


class _Door:
    """Every page by name, and the answers that are no page."""

    def __init__(self, jobs: JobContext, pages: Sequence[Page]) -> None:
        self._jobs = jobs
        self._pages = {page.name: page for page in pages}
        self._style = STYLE.read_bytes()
        self._version = hashlib.sha256(self._style).hexdigest()[:12]

    def open(self, name: str, part: str = "") -> Response:
        page = self._pages.get(name)
        if page is None:
            return self.notice("missing", 404)
        posted = request.method == "POST"
        if posted and not page.posts:
            return Response("405 Method Not Allowed", 405, content_type="text/plain", headers={"Allow": "GET, HEAD"})
        if posted and (request.content_length is None or request.content_length > LONGEST_FORM):
            return self.notice("missing", 413)
        try:
            person_id, ends = self._jobs.tool(Links).open(name, (request.form if posted else request.args).get("t", ""))
        except LinkRefused as refusal:
            return self.notice(refusal.reason, 403)
        return self._visit(page, part, person_id, ends, posted=posted)

    def _visit(self, page: Page, part: str, person_id: int, ends: int, *, posted: bool) -> Response:
        try:
            with self._jobs.begin() as session:
                if not posted:
                    session.execute(text("set transaction read only"))
                person = people.person(session, person_id)
                if person is None:
                    return self.notice("bad", 403)
                visit = Visit(person, session, self._jobs.now(), self._jobs, ends, part, _texts(request.args),
                              _texts(request.form) if posted else {})
                found = page.show(visit)
        except NotThere:
            return self.notice("missing", 404)
        return _file(found) if isinstance(found, File) else self._page(page, visit, found)

    def _page(self, page: Page, visit: Visit, content: Content) -> Response:
        say = self._jobs.copy.render
        response = _sealed(Response(render_template(f"h5/{page.name}.html", **{
            "title": say(f"h5.{page.name}.title"), "shop": visit.shop.name, "version": self._version, "say": say,
            "has": self._jobs.copy.has, "link": visit.link, "token": visit.token(page.name), "page": page.name,
            "person": visit.person, "sdk": self._jobs.tool(JsSdk).script if page.sdk else "", **content,
        }), content_type="text/html; charset=utf-8"))
        if page.script:
            host = f" {SDK_HOST}; connect-src 'self'" if page.sdk else ""
            policy = POLICY.replace("style-src 'self'", TAG_STYLES) if page.tags else POLICY
            response.headers["Content-Security-Policy"] = f"{policy}; script-src 'self'{host}"
        return response

    def notice(self, what: str, status: int) -> Response:
        """A page that says what is wrong and how to get a good link. Names nobody."""
        say, shop = self._jobs.copy.render, self._jobs.shop.name
        return _sealed(Response(render_template(
            "h5/notice.html", shop=shop, title=say(f"h5.{what}_title"), text=say(f"h5.{what}_text", shop=shop),
            version=self._version), status, content_type="text/html; charset=utf-8"))

    def busy(self, fault: Exception) -> Response:
        log.warning("h5.away", fault=type(fault).__name__)
        response = self.notice("busy", 503)
        response.headers["Retry-After"] = "5"
        return response

    def script(self, name: str) -> Response:
        """A script that one of the pages declares; no other file of the folder."""
        if name not in {page.script for page in self._pages.values()}:
            return self.notice("missing", 404)
        response = Response((STYLE.parent / name).read_bytes(), content_type="text/javascript; charset=utf-8")
        response.headers["Cache-Control"] = "public, max-age=300"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def sign(self, name: str) -> Response:
        """The signature of the page's address ``u`` for the account ``app``, for whoever holds a link to the page. Only
        addresses of ours are signed: the script of another site could do with them what ours may. Opens no transaction,
        because the platform may be asked for its ticket."""
        page, sdk = self._pages.get(name), self._jobs.tool(JsSdk)
        url, ours = request.args.get("u", ""), f"{self._jobs.shop.public_url}/me/{name}"
        if page is None or not page.sdk:
            return _refused(404)
        try:
            self._jobs.tool(Links).open(name, request.args.get("t", ""))
        except LinkRefused:
            return _refused(403)
        if len(url) > LONGEST_ADDRESS or "#" in url or not url.startswith((f"{ours}/", f"{ours}?")):
            return _refused(403)
        try:
            made = sdk.sign(request.args.get("app", ""), url)
        except KeyError:
            return _refused(404)
        except GatewayError as fault:
            log.warning("h5.no_ticket", outcome=fault.result.outcome, errcode=fault.result.errcode)
            return _refused(503)
        return _sealed(jsonify(appId=made.app_id, timestamp=made.timestamp, nonceStr=made.nonce,
                               signature=made.signature))

    def style(self) -> Response:
        response = Response(self._style, content_type="text/css; charset=utf-8")
        response.headers["Cache-Control"] = "public, max-age=31536000"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def blueprint(jobs: JobContext, filters: Mapping[str, Callable[..., Any]], pages: Sequence[Page]) -> Blueprint:
    """The customer pages; a database that is away is a friendly page too. ``filters``: how templates write money, rates
    and days, as the voice does."""
    door = Blueprint("h5", __name__)
    every = _Door(jobs, pages)
    for name, formatted in filters.items():
        door.add_app_template_filter(formatted, name)
    door.add_url_rule("/me/h5.css", "style", every.style, methods=["GET"])
    door.add_url_rule("/me/<name>.js", "script", lambda name: every.script(f"{name}.js"), methods=["GET"])
    door.add_url_rule("/me/<name>.sign", "sign", every.sign, methods=["GET"])
    door.add_url_rule("/me/", "none", lambda: every.notice("missing", 404), methods=["GET"])
    door.add_url_rule("/me/<name>", "open", every.open, methods=["GET", "POST"])
    door.add_url_rule("/me/<name>/<part>", "open_part", every.open, methods=["GET", "POST"])
    for kind in (DBAPIError, PoolTimeout):
        door.register_error_handler(kind, every.busy)
    return door


def lost(jobs: JobContext) -> Callable[[], Response]:
    """What somebody with a browser sees at an address where nothing is."""
    door = _Door(jobs, ())
    return lambda: door.notice("missing", 404)


def _refused(status: int) -> Response:
    """For scripts: the page goes on without a signature."""
    return _sealed(Response("{}", status, content_type="application/json"))


def _texts(given: Mapping[str, str]) -> dict[str, str]:
    """What came from outside, cut short, without the token and without what no text column takes."""
    return {name: value[:LONGEST_VALUE].replace("\0", "") for name, value in given.items() if name != "t"}


def _file(file: File) -> Response:
    response = _sealed(Response(file.content, content_type=file.kind))
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name)}"
    return response


def _sealed(response: Response) -> Response:
    """Personal: kept by nobody, shown in no frame, told to no other site."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Cache-Control"] = "private, no-store"
    return response
