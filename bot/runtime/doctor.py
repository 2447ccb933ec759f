"""``python -m bot doctor``: what deployers lose hours on, checked one by one, each with cause and remedy.

Checks change nothing (``probing``) and never show a secret. A check that cannot be made says so instead of failing.
"""

import base64
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import redis
import requests
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bot.kit.gateway import GatewayError
from bot.kit.pay import PayGateways
from bot.kit.wecom import WeComs
from bot.runtime import backlog, books, cards, health, key_mark, pay_doctor, probing, service_doctor, wecom_doctor
from bot.runtime.findings import LOOK_UP, PASSING, TIMEOUT, Finding, State, remedy_of_call
from bot.runtime.settings import Settings, SettingsError
from domain import migrations
from domain.audit.rules import SealKey
from domain.shared.clock import OffsetClock, SystemClock
from domain.subscriptions.rules import Catalogue

DRIFT_YELLOW, DRIFT_RED = 10, 60
"""Seconds between our clock and the platform's; callbacks further than a minute ahead are refused."""
SLOW_MILLISECONDS = 20
WANTED_POSTGRES = 18


def of_settings(error: SettingsError) -> list[Finding]:
    """The faults of settings that could not be read; nothing else can be checked then."""
    return [Finding(f"settings: {fault.where}", "red", fault.problem, fault.remedy) for fault in error.faults]


def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order in which one would mend things."""
    patient = _Patient(settings)
    findings = [Finding("settings", "green", "complete" + (" (demo shop)" if settings.demo else ""))]
    try:
        for check in _CHECKS:
            findings += _guarded(check, patient)
        findings += patient.unasked()
    finally:
        patient.close()
    return findings


def as_text(findings: list[Finding], *, colour: bool) -> str:
    """A table for people: state, check, cause, and the remedy on a line of its own."""
    marks = {"green": ("ok", 32), "yellow": ("look", 33), "red": ("WRONG", 31), "skipped": ("–", 90)}
    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        word, code = marks[finding.state]
        mark = f"\x1b[{code}m{word:<5}\x1b[0m" if colour else f"{word:<5}"
        lines.append(f"{mark}  {finding.check:<{width}}  {finding.cause}")
        if finding.remedy:
            lines.append(f"{'':<{width + 9}}→ {finding.remedy}")
    return "\n".join(lines)


class _Patient:
    """What checks look at; connections are made when first needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: Engine = probing.reader(settings.database_url)
        self.missed = False
        self._unasked: list[str] = []
        self._runtime: Any = None

    def away(self, what: str, url: str) -> bool:
        """Whether ``url`` is where the service was not found: then asking for ``what`` there is of no use."""
        if self.missed and service_doctor.same_address(url, self.settings.public_url):
            self._unasked.append(what)
            return True
        return False

    def unasked(self) -> list[Finding]:
        """What could not be asked for the one cause that was told."""
        if not self._unasked:
            return []
        return [Finding("not asked", "skipped", f"{', '.join(self._unasked)}: at the address where the service is not")]

    def gateway(self, account: str) -> Any:
        """The gateway of an account."""
        return self._built().gateways[account]

    def catalogue(self) -> Catalogue:
        """The table of cards with the accounts' templates."""
        found: Catalogue = self._built().context.tool(Catalogue)
        return found

    def pay_gateway(self, account: str) -> Any:
        """The gateway of a merchant account."""
        return self._built().context.tool(PayGateways).by_account[account]

    def wecom(self, account: str) -> Any:
        """The gateway of a WeCom application."""
        return self._built().context.tool(WeComs).by_account[account]

    def _built(self) -> Any:
        """Gateways need the whole application, so it is built late."""
        if self._runtime is None:
            from bot.runtime import bootstrap

            self._runtime = bootstrap.build(self.settings, engine=probing.prober(self.settings.database_url))
        return self._runtime

    def close(self) -> None:
        if self._runtime is not None:
            self._runtime.close()


def _guarded(check: Callable[[_Patient], Iterator[Finding]], patient: _Patient) -> list[Finding]:
    """A check that stumbles is itself a finding; the others go on."""
    found: list[Finding] = []
    name = check.__name__.strip("_").replace("_", " ")
    try:
        found.extend(check(patient))
    except SQLAlchemyError as error:
        found.append(Finding(name, "skipped", f"needs the database ({type(error).__name__})"))
    except Exception as error:  # noqa: BLE001 - a doctor that dies helps nobody
        found.append(Finding(name, "red", f"could not be checked: {type(error).__name__}", "report this as a bug"))
    return found


def _keys(patient: _Patient) -> Iterator[Finding]:
    """Lengths as the platforms hand them out. Odd ones may work with a test peer, never with the real one."""
    faults = []
    for name, wechat in patient.settings.wechat.items():
        faults += _odd(f"wechat.{name}.app_id", len(wechat.app_id), 18)
        faults += _odd(f"wechat.{name}.app_secret", len(wechat.app_secret.reveal()), 32)
        if not (wechat.token.reveal().isalnum() and 3 <= len(wechat.token.reveal()) <= 32):
            faults.append((f"wechat.{name}.token", "is not 3 to 32 letters and digits"))
    for name, source in patient.settings.api.items():
        if len(source.api_key.reveal()) < 32:
            faults.append((f"api.{name}.api_key", f"has {len(source.api_key.reveal())} characters, 32 are advised"))
        for one in source.webhook_secrets:
            size = len(base64.b64decode(one.reveal().removeprefix("whsec_")))
            if size < 24:
                faults.append((f"api.{name}.webhook_secret", f"has {size} bytes, 24 to 64 are advised"))
    for where, fault in faults:
        yield Finding(f"key {where}", "yellow", fault, "copy it again, without spaces or quotes, or make a longer one")
    if not faults:
        yield Finding("keys", "green", "lengths are right")


def _odd(where: str, length: int, wanted: int) -> list[tuple[str, str]]:
    return [] if length == wanted else [(where, f"has {length} characters, not {wanted}")]


def _secret_key(patient: _Patient) -> Iterator[Finding]:
    path = patient.settings.home / "secret.key"
    if (since := _foreign_key(patient)) is not None:
        yield Finding("secret key", "red", f"is not the one that this database knows since {since:%Y-%m-%d}: what was "
                      "sealed does not open, and whoever was erased is not recognised",
                      "bring the former key back (secret.key of a backup, HUITOU_SECRET_KEY); to change it on purpose "
                      "give the former one as HUITOU_SECRET_KEY_PREVIOUS and restart")
    elif not path.exists():
        yield Finding("secret key", "green", "given by HUITOU_SECRET_KEY")
    elif path.stat().st_mode & 0o077:
        yield Finding("secret key", "yellow", "secret.key can be read by others", f"chmod 600 {path}")
    else:
        yield Finding("secret key", "green", "kept in secret.key: include it in your backups")


def _foreign_key(patient: _Patient) -> datetime | None:
    """None also where the database cannot say: other checks tell why."""
    try:
        with Session(patient.engine) as session:
            return key_mark.foreign_since(session, patient.settings)
    except SQLAlchemyError:
        return None


def _exposure(patient: _Patient) -> Iterator[Finding]:
    settings, host = patient.settings, urlsplit(patient.settings.public_url).hostname or ""
    local = host in ("127.0.0.1", "localhost", "::1")
    if settings.demo and (not local or settings.host not in ("127.0.0.1", "localhost", "::1")):
        yield Finding("demo", "yellow", "simulator and clock control are open to the network",
                      "set HUITOU_DEMO=0 where real customers are")
    if not settings.demo and local:
        yield Finding("public address", "red", "PUBLIC_URL is this machine only: links and QR codes lead nowhere",
                      "set PUBLIC_URL to the https address of the shop")
    elif not settings.demo and not settings.public_url.startswith("https://"):
        yield Finding("public address", "yellow", "PUBLIC_URL is not https", "put a TLS proxy in front")


def _clock(patient: _Patient) -> Iterator[Finding]:
    """Our clock against the Date header of each platform: signatures and tokens are judged by real time."""
    settings = patient.settings
    bases = [(f"wechat.{name}", account.api_base) for name, account in settings.wechat.items()]
    bases += [(f"pay.{name}", account.api_base) for name, account in settings.pay.items()]
    bases += [(f"wecom.{name}", account.api_base) for name, account in settings.wecom.items()]
    for name, base in bases:
        if patient.away(f"clock ({name})", base):
            continue
        try:
            began = time.time()
            date = requests.head(base, timeout=TIMEOUT, allow_redirects=False).headers.get("Date", "")
            drift = parsedate_to_datetime(date).timestamp() + 0.5 - (began + time.time()) / 2
        except (requests.RequestException, ValueError, TypeError) as error:
            yield Finding(f"clock ({name})", "red", f"{base} cannot be asked: {type(error).__name__}",
                          "check DNS, the firewall for outgoing https, and api_base")
            continue
        state: State = "green" if abs(drift) < DRIFT_YELLOW else "yellow" if abs(drift) < DRIFT_RED else "red"
        remedy = "" if state == "green" else "switch on time synchronisation (chrony, systemd-timesyncd)"
        yield Finding(f"clock ({name})", state, f"differs by {abs(drift):.0f} s", remedy)


def _database(patient: _Patient) -> Iterator[Finding]:
    try:
        with patient.engine.connect() as db:
            version = int(str(db.scalar(text("show server_version_num")))) // 10_000
            laps = [_milliseconds(lambda: db.scalar(text("select 1"))) for _ in range(9)]
            there = db.scalar(text("select to_regclass('alembic_version') is not null"))
            revision = db.scalar(text("select version_num from alembic_version")) if there else None
    except SQLAlchemyError as error:
        remedy = ("start it: python -m bot up" if patient.settings.embedded_database else
                  "check DATABASE_URL, that the server runs, and that this machine may connect")
        yield Finding("database", "red", f"no connection ({_short(error)})", remedy)
        return
    lap = statistics.median(laps)
    if version < WANTED_POSTGRES:
        yield Finding("database", "red", f"PostgreSQL {version}", f"use PostgreSQL {WANTED_POSTGRES} or newer")
    elif lap > SLOW_MILLISECONDS:
        yield Finding("database", "yellow", f"PostgreSQL {version}, {lap:.0f} ms a round trip",
                      "run the service near its database: a callback needs several round trips")
    else:
        yield Finding("database", "green", f"PostgreSQL {version}, {lap:.1f} ms a round trip")
    if revision == migrations.head():
        yield Finding("schema", "green", f"at {revision}")
    else:
        yield Finding("schema", "red", f"at {revision or 'nothing'}, this code needs {migrations.head()}",
                      "python -m bot migrate")


def _cache(patient: _Patient) -> Iterator[Finding]:
    client = redis.Redis.from_url(patient.settings.redis_url, socket_timeout=3, socket_connect_timeout=3)
    try:
        lap = _milliseconds(client.ping)
        policy = client.info("memory").get("maxmemory_policy", "")
    except redis.RedisError as error:
        remedy = ("start it: python -m bot up" if patient.settings.embedded_cache else
                  "check REDIS_URL and that the server runs; nothing is lost meanwhile, only slower")
        yield Finding("cache", "red", f"no connection ({type(error).__name__})", remedy)
        return
    finally:
        client.close()
    if policy != "noeviction":
        yield Finding("cache", "yellow", f"drops keys when full ({policy})", "set maxmemory-policy noeviction")
    else:
        yield Finding("cache", "green", f"{lap:.1f} ms a round trip")


def _disk(patient: _Patient) -> Iterator[Finding]:
    free = health.free_disk(patient.settings.home)
    state: State = "red" if free < health.MIN_FREE else "yellow" if free < 15 else "green"
    yield Finding("disk", state, f"{free} % free under HUITOU_HOME", "" if state == "green" else "make room")


def _fonts(patient: _Patient) -> Iterator[Finding]:
    """Both fonts draw something: without them posters show boxes."""
    from PIL import Image

    from bot.pictures import fonts, text
    from bot.pictures.graphemes import clusters

    for name, face, sample in (("text", fonts.TEXT, "回"), ("emoji", fonts.EMOJI, "🌸")):
        sheet = Image.new("RGB", (96, 96), "white")
        text.draw(sheet, (8, 64), clusters(sample), text.Type(48), "black")
        good = ord(sample) in fonts.covered(face) and len(set(sheet.get_flattened_data())) > 1
        yield Finding(f"font ({name})", "green" if good else "red", "draws" if good else "draws nothing",
                      "" if good else "rm -rf .venv && make setup")


def _service(patient: _Patient) -> Iterator[Finding]:
    """Whether PUBLIC_URL leads here at all: else that is the cause, and what else lies there is not asked."""
    found = service_doctor.missed(patient.settings)
    if found is not None:
        patient.missed = True
        yield found
    else:
        yield from service_doctor.callbacks(patient.settings)


def _token(patient: _Patient) -> Iterator[Finding]:
    """A token from the platform: proves AppID, AppSecret and the IP list in one call. Then the menu."""
    for name, account in patient.settings.wechat.items():
        if patient.away(f"token and menu ({name})", account.api_base):
            continue
        try:
            patient.gateway(name).ping_token()
        except GatewayError as error:
            yield _token_trouble(name, error)
            continue
        yield Finding(f"token ({name})", "green", "the platform gives one, so the IP list has us")
        try:
            menu = patient.gateway(name).get_menu()
        except GatewayError as error:
            remedy = remedy_of_call(error.result.errcode, LOOK_UP)
            yield Finding(f"menu ({name})", "yellow", str(error), remedy)
            continue
        yield (Finding(f"menu ({name})", "green", "is there") if menu else
               Finding(f"menu ({name})", "yellow", "there is none", "python -m bot menu push"))


def _cards(patient: _Patient) -> Iterator[Finding]:
    """Whether the templates of cards are on the platform as the table says."""
    for name, account in patient.settings.wechat.items():
        if patient.missed and service_doctor.same_address(account.api_base, patient.settings.public_url):
            continue
        yield from cards.findings(patient.catalogue(), name, patient.gateway(name))


def _token_trouble(name: str, error: GatewayError) -> Finding:
    code = error.result.errcode
    label = f"IP list ({name})" if code == 40164 else f"token ({name})"
    remedy = remedy_of_call(code, f"check app_id and app_secret; {LOOK_UP}")
    cause = f"{code or error.result.outcome}: {error.result.detail}"
    return Finding(label, "yellow" if code in PASSING else "red", cause, remedy)


def _backlog(patient: _Patient) -> Iterator[Finding]:
    """What waits too long, what was given up, what needs a human."""
    settings = patient.settings
    clock = OffsetClock(settings.home / "clock") if settings.demo else SystemClock()
    accounts = {account.app_id: name for name, account in settings.wechat.items()}
    accounts |= {f"{app.corp_id}:{app.agent_id}": f"wecom.{name}" for name, app in settings.wecom.items()}
    with patient.engine.connect() as db:
        yield from backlog.findings(db, accounts, clock.now(), datetime.now(UTC))


def _books(patient: _Patient) -> Iterator[Finding]:
    """Whether the money adds up and the log of operators' acts is whole."""
    with Session(patient.engine) as session:
        yield from books.findings(session, SealKey(patient.settings.key("audit seals")))


def _journeys(patient: _Patient) -> Iterator[Finding]:
    """Whether journeys run as they are shipped now, or were looked at."""
    from bot.runtime import journeys

    with Session(patient.engine) as session:
        yield from journeys.upgrades(session)


def _pay(patient: _Patient) -> Iterator[Finding]:
    """Keys, address and state of every merchant account."""
    settings = patient.settings
    clock = OffsetClock(settings.home / "clock") if settings.demo else SystemClock()
    yield from pay_doctor.findings(settings, patient.engine, patient.pay_gateway, clock.now(), patient.away)


def _wecom(patient: _Patient) -> Iterator[Finding]:
    """Keys, callback, token and rights of every WeCom application."""
    yield from wecom_doctor.findings(patient.settings, patient.engine, patient.wecom, patient.away)


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _short(error: SQLAlchemyError) -> str:
    """The first line of a driver's message; it names host and database, not the password."""
    return str(getattr(error, "orig", error)).strip().split("\n")[0][:160]


_CHECKS = (_keys, _secret_key, _exposure, _disk, _fonts, _database, _cache, _service, _clock, _token, _cards, _backlog,
           _books, _journeys, _pay, _wecom)
