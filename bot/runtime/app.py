"""The Flask application: every door of the service, and nothing behind them."""

from collections.abc import Callable

import structlog
from flask import Flask, Response, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from bot.kit.pay import PayGateways
from bot.runtime import bootstrap, health, logs, metrics, pay_notify, webhook
from bot.runtime.bell import Doorbell
from bot.runtime.courier import Courier
from bot.runtime.demo import mount_simulator
from bot.runtime.express import EventLane, ExpressLane
from bot.runtime.leftovers import Leftovers
from bot.runtime.routes import Application
from bot.runtime.settings import Settings, from_environment
from bot.runtime.voice import FILTERS
from handlers.web import api, certificates, h5, landing, ops
from handlers.web.api.problems import Refusal

log = structlog.get_logger(__name__)

MAX_CONTENT_BYTES = 16 * 1024 * 1024
"""The outermost cap; each door has its own, smaller one."""


def create_app(settings: Settings | None = None, runtime: bootstrap.Runtime | None = None) -> Flask:
    """The application of ``runtime``, or of one built from ``settings`` (default: the environment)."""
    settings = settings or (runtime.settings if runtime else from_environment())
    runtime = runtime or bootstrap.build(settings)
    app = Application("huitou", static_folder=None, template_folder=str(bootstrap.ASSETS / "templates"))
    app.config["MAX_CONTENT_LENGTH"] = MAX_CONTENT_BYTES
    app.extensions["huitou"] = runtime
    door = webhook.Door(runtime.keys(), runtime.dispatcher, runtime.sessions)
    app.register_blueprint(webhook.blueprint("wechat", door))
    app.register_blueprint(webhook.blueprint("wecom", webhook.Door(runtime.wecom_keys(), runtime.dispatcher,
                                                                   runtime.sessions, _hurry(runtime))))
    app.register_blueprint(pay_notify.blueprint(runtime.context.tool(PayGateways), runtime.sessions,
                                                runtime.clock.now, runtime.bell.ring))
    app.register_blueprint(health.blueprint(settings, runtime.engine, runtime.clock.now))
    event_door = api.EventDoor(_api_context(runtime))
    app.register_blueprint(api.blueprint(_api_context(runtime), event_door))
    app.register_blueprint(ops.blueprint(_ops_context(runtime)))
    app.register_blueprint(landing.blueprint(_landing_context(runtime)))
    app.register_blueprint(certificates.blueprint(runtime.context))
    app.register_blueprint(h5.blueprint(runtime.context, FILTERS, h5.PAGES))
    if settings.demo:
        mount_simulator(app, runtime)
    app.add_url_rule("/favicon.ico", "favicon", lambda: Response(status=204))
    bootstrap.warm_up(runtime.voice)
    logs.watch_requests(app)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(NotFound, _not_found(h5.lost(runtime.context)))
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(PoolTimeout, _database_away)
    app.register_error_handler(Exception, _unexpected)
    app.wsgi_app = ExpressLane(door, EventLane(event_door, Leftovers(app.wsgi_app)))  # type: ignore[method-assign]
    return app


def _hurry(runtime: bootstrap.Runtime) -> Callable[[], object] | None:
    """What is in a hurry is done here; where nobody hears the bell (a shop that stands still), not even that."""
    return Courier(runtime.outbox).hurry if isinstance(runtime.bell, Doorbell) else None


def _api_context(runtime: bootstrap.Runtime) -> api.ApiContext:
    sources = {
        name: api.Source(name, tuple(secret.reveal() for secret in source.webhook_secrets), source.api_key.reveal())
        for name, source in runtime.settings.api.items()
    }
    return api.ApiContext(runtime.sessions, runtime.clock.now, runtime.bell.ring, runtime.pepper, sources,
                          metrics.events)


def _ops_context(runtime: bootstrap.Runtime) -> ops.OpsContext:
    return ops.OpsContext(runtime.sessions, runtime.clock.now, runtime.bell.ring, runtime.voice, runtime.context.tool)


def _landing_context(runtime: bootstrap.Runtime) -> landing.LandingContext:
    return landing.LandingContext(runtime.sessions, runtime.clock.now, runtime.context, runtime.shop)


def _not_found(page: Callable[[], Response]) -> Callable[[NotFound], Response]:
    """A person with a browser sees a page of the shop, also at the bare address of it; a machine is told shortly."""

    def answer(fault: NotFound) -> Response:
        wanted = request.accept_mimetypes.best_match(("text/plain", "text/html"))
        reads = request.method == "GET" and wanted == "text/html" and not request.path.startswith("/api/")
        return page() if reads else _http_error(fault)

    return answer


def _http_error(fault: HTTPException) -> Response:
    """Short and without internals; JSON in the one shape of the API where a machine asked."""
    code = fault.code or 500
    allowed = {"Allow": ", ".join(sorted(fault.valid_methods or ()))} if isinstance(fault, MethodNotAllowed) else {}
    if request.path.startswith("/api/"):
        name = fault.name.lower().replace(" ", "_")
        said = "There is nothing at this address." if code == 404 else fault.description or fault.name
        return Refusal(code, name, said, headers=allowed).response()
    return Response(f"{code} {fault.name}", code, content_type="text/plain; charset=utf-8", headers=allowed)


def _database_away(fault: Exception) -> Response:
    """Nothing was kept, so nothing may be acknowledged: whoever called must try again."""
    log.warning("web.database_away", path=request.path, fault=type(fault).__name__)
    return Response("503 Service Unavailable", 503, content_type="text/plain; charset=utf-8",
                    headers={"Retry-After": "2"})


def _unexpected(fault: Exception) -> Response:
    """The last resort: the person sees no stack, the log has it all."""
    log.exception("web.failed", path=request.path, fault=type(fault).__name__)
    return Response("500 Internal Server Error", 500, content_type="text/plain; charset=utf-8")
