"""Settings: read once from the environment and the accounts file, checked all at once, then never changed."""

import base64
import os
import shlex
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.runtime import embedded
from bot.runtime.accounts import (
    Accounts,
    ApiSource,
    PayAccount,
    Shop,
    WeChatAccount,
    WeComAccount,
    base_url,
    meant,
    parse_accounts,
    read_accounts,
)
from bot.runtime.demo_keys import demo_pairs
from bot.runtime.faulty import Fault, Faulty
from bot.runtime.findings import counted
from bot.runtime.secret import MIN_KEY_LENGTH, Secret, derive, kept_key
from domain.shared.records import record

DEMO_ACCOUNTS = Path(__file__).parents[2] / "assets" / "demo" / "accounts.toml"

DEMO_ACCOUNT = "demo"
DEMO_SOURCE = "mall"
DEMO_CORP = "main"
LAST_PORT = "port"
"""File in HUITOU_HOME: the web port of the last start on this machine."""
"""Names of the demo's Official Account, of its shop system and of its WeCom application."""


class SettingsError(Exception):
    """The settings cannot be used. ``faults`` has every reason, with cause and remedy, and no secret."""

    def __init__(self, faults: list[Fault]) -> None:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        super().__init__(counted(len(faults), "thing", "things") + f" to mend in the settings:\n{lines}")
        self.faults = faults


class RulesRefused(Exception):
    """A rule file of the shop cannot be used. The message says why, in the shop's language."""


@record
class Variable:
    """One environment variable: how it is read, and what .env.example says of it."""

    name: str
    default: str
    meaning: str
    parse: Callable[[str], Any]
    secret: bool = False
    """Secrets may also come from a file: ``<name>_FILE``."""


@record
class Settings:
    """What an instance is. ``repr`` shows no secret; ``home`` is absolute."""

    port: int
    host: str
    home: Path
    public_url: str
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    embedded_database: bool
    embedded_cache: bool
    demo: bool
    own_accounts: bool
    """Whether an accounts file was given; without one the demo shop is served."""
    web_workers: int
    web_threads: int
    log_level: str
    log_format: str
    metrics_port: int
    metrics_token: Secret
    secret_key: Secret
    secret_key_previous: Secret
    vault_key: Secret
    vault_key_previous: Secret
    accounts: Accounts

    @property
    def shop(self) -> Shop:
        return self.accounts.shop

    @property
    def wechat(self) -> Mapping[str, WeChatAccount]:
        return self.accounts.wechat

    @property
    def wecom(self) -> Mapping[str, WeComAccount]:
        return self.accounts.wecom

    @property
    def pay(self) -> Mapping[str, PayAccount]:
        return self.accounts.pay

    @property
    def api(self) -> Mapping[str, ApiSource]:
        return self.accounts.api

    def vault_keys(self) -> tuple[bytes, ...]:
        """The master keys of personal data, the present one first. What was sealed before a key was given opens, too.
        """
        given = [derive(one, "personal data") for one in (self.vault_key, self.vault_key_previous) if one]
        return (*given, *self.keys("personal data"))

    def key(self, purpose: str) -> bytes:
        """32 bytes for one purpose, derived from the secret key: signing, hashing and encryption never share."""
        return derive(self.secret_key, purpose)

    def keys(self, purpose: str) -> tuple[bytes, ...]:
        """The same, and behind it the one of the previous secret key, if that is given: for what was sealed before."""
        return tuple(derive(one, purpose) for one in (self.secret_key, self.secret_key_previous) if one)


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
            raise Faulty(f"is not a whole number from {low} to {high}", "correct it or remove it")
        return int(raw)

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw.lower() not in allowed:
            raise Faulty(f"is not one of {', '.join(allowed)}", f"write one of them{meant(raw.lower(), allowed)}")
        return raw.lower()

    return parse


def _switch(raw: str) -> bool | None:
    if raw == "":
        return None
    if raw.lower() in ("1", "true", "yes", "on"):
        return True
    if raw.lower() in ("0", "false", "no", "off"):
        return False
    raise Faulty("is neither 1 nor 0", "write 1 or 0")


def _database_url(raw: str) -> str:
    """PostgreSQL only; ``postgres://`` and ``postgresql://`` as hosts hand them out mean the same driver."""
    for scheme in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if raw.startswith(scheme):
            return "postgresql+psycopg://" + raw.removeprefix(scheme)
    if raw:
        raise Faulty("is not a PostgreSQL address", "write postgresql+psycopg://user:password@host:5432/database")
    return ""


def _redis_url(raw: str) -> str:
    if raw and urlsplit(raw).scheme not in ("redis", "rediss", "unix"):
        raise Faulty("is not a Redis or Valkey address", "write redis://host:6379/0")
    return raw


def _public_url(raw: str) -> str:
    return base_url(raw) if raw else ""


def _secret_key(raw: str) -> Secret:
    if raw and len(raw) < MIN_KEY_LENGTH:
        raise Faulty(f"has {len(raw)} characters", f"use {MIN_KEY_LENGTH} or more random ones, for instance from: "
                     'python -c "import secrets;print(secrets.token_urlsafe(48))"')
    if raw and len(set(raw)) < 10:
        raise Faulty("is not random", "generate it, do not invent it")
    return Secret(raw)


def _log_level(raw: str) -> str:
    return _choice("debug", "info", "warning", "error")(raw)


VARIABLES = (
    Variable("PORT", "8000", "Web port.", _number(1, 65535)),
    Variable("HOST", "127.0.0.1", "Address to listen on. 0.0.0.0 listens on every network card.", str),
    Variable("PUBLIC_URL", "", "How the outside reaches this instance, for links, QR codes and the callback check "
             "(default: http://127.0.0.1:<PORT>).", _public_url),
    Variable("HUITOU_HOME", "./var", "Data directory: embedded servers, posters, uploads, generated key.", Path),
    Variable("DATABASE_URL", "", "PostgreSQL 18, postgresql+psycopg://user:password@host/database "
             "(default: an embedded server in HUITOU_HOME).", _database_url, secret=True),
    Variable("REDIS_URL", "", "Valkey or Redis, redis://host:6379/0 (default: an embedded server in HUITOU_HOME).",
             _redis_url, secret=True),
    Variable("HUITOU_ACCOUNTS", "", "Path of the accounts file (TOML). Without it the demo shop is served.", str),
    Variable("HUITOU_DEMO", "", "1: simulator pages and clock control. Default: 1 without an accounts file, else 0. "
             "Never 1 where real customers are.", _switch),
    Variable("HUITOU_SECRET_KEY", "", "Root of signing and encryption, 32 or more random characters (default: "
             "generated once into HUITOU_HOME/secret.key). Losing it makes stored personal data unreadable.",
             _secret_key, secret=True),
    Variable("HUITOU_SECRET_KEY_PREVIOUS", "", "The HUITOU_SECRET_KEY before the present one: what it sealed still "
             "opens, and whoever was erased under it is recognised. Keep it for as long as that matters.",
             _secret_key, secret=True),
    Variable("HUITOU_VAULT_KEY", "", "Root of the encryption of real names and ID numbers, 32 or more random "
             "characters (default: derived from the secret key).", _secret_key, secret=True),
    Variable("HUITOU_VAULT_KEY_PREVIOUS", "", "The HUITOU_VAULT_KEY before the present one, until "
             "\"python -m bot vault rotate\" has said that nothing is left.", _secret_key, secret=True),
    Variable("WEB_WORKERS", "1", "Web processes. One per core is a good start.", _number(1, 64)),
    Variable("WEB_THREADS", "16", "Threads per web process; each may hold one database connection.", _number(1, 128)),
    Variable("LOG_LEVEL", "info", "debug, info, warning or error.", _log_level),
    Variable("LOG_FORMAT", "auto", "json, text, or auto: text on a terminal, else json.",
             _choice("auto", "json", "text")),
    Variable("METRICS_PORT", "0", "Where a worker or clock on a machine of its own shows its metrics; 0: nowhere. "
             "(The web shows its own at /metrics.)", _number(0, 65535)),
    Variable("METRICS_TOKEN", "", "When set, /metrics wants it as bearer token. When not, /metrics answers only "
             "requests that did not come through a proxy.", Secret, secret=True),
)


def from_environment(*, beside: bool = False) -> Settings:
    """The settings of this process: its environment over ``.env`` in the working directory. Raises SettingsError.

    ``beside``: of a command beside a service that runs already; without PORT it means the one that ``up`` last took.
    """
    env, cwd = {**read_env_file(Path.cwd() / ".env"), **os.environ}, Path.cwd()
    if beside and not env.get("PORT", "").strip():
        env["PORT"] = _last_port(cwd / (env.get("HUITOU_HOME", "").strip() or "var"))
    return load(env, cwd)


def _last_port(home: Path) -> str:
    """The web port of the last start of ``up`` in this home; "" when there was none."""
    try:
        return str(int((home / LAST_PORT).read_text()))
    except (OSError, ValueError):
        return ""


def read_env_file(path: Path) -> dict[str, str]:
    """``NAME=value`` lines, shell quoting, ``#`` comments; {} when there is no such file."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = "".join(shlex.split(value, comments=True))
    return found


def load(env: Mapping[str, str], cwd: Path) -> Settings:
    """Settings from ``env``; relative paths start at ``cwd``. Raises SettingsError with every fault at once.

    Creates HUITOU_HOME and its secret.key when all else is in order and no key is given.
    """
    faults: list[Fault] = _misspelt(env)
    values = {variable.name: _value(variable, env, cwd, faults) for variable in VARIABLES}
    home = (cwd / (values["HUITOU_HOME"] or "var")).resolve()
    accounts_path = values["HUITOU_ACCOUNTS"]
    demo = values["HUITOU_DEMO"] if values["HUITOU_DEMO"] is not None else not accounts_path
    accounts = None
    if accounts_path:
        accounts = read_accounts((cwd / accounts_path).resolve(), demo=demo, faults=faults)
    elif not demo:
        faults.append(Fault("HUITOU_ACCOUNTS", "is missing while HUITOU_DEMO is 0", "point it at your accounts file"))
    if faults:
        raise SettingsError(faults)
    key = values["HUITOU_SECRET_KEY"] or _own_key(home)
    return Settings(
        port=values["PORT"], host=values["HOST"], home=home,
        public_url=values["PUBLIC_URL"] or f"http://127.0.0.1:{values['PORT']}",
        database_url=values["DATABASE_URL"] or embedded.postgres_url(home),
        redis_url=values["REDIS_URL"] or embedded.valkey_url(home),
        embedded_database=not values["DATABASE_URL"], embedded_cache=not values["REDIS_URL"],
        demo=demo, own_accounts=bool(accounts_path),
        web_workers=values["WEB_WORKERS"], web_threads=values["WEB_THREADS"],
        log_level=values["LOG_LEVEL"], log_format=values["LOG_FORMAT"],
        metrics_port=values["METRICS_PORT"], metrics_token=values["METRICS_TOKEN"],
        secret_key=key, secret_key_previous=values["HUITOU_SECRET_KEY_PREVIOUS"],
        vault_key=values["HUITOU_VAULT_KEY"], vault_key_previous=values["HUITOU_VAULT_KEY_PREVIOUS"],
        accounts=accounts or _demo_accounts(key, values["PORT"], home),
    )


def _value(variable: Variable, env: Mapping[str, str], cwd: Path, faults: list[Fault]) -> Any:
    raw = env.get(variable.name, "").strip()
    file = env.get(f"{variable.name}_FILE", "") if variable.secret else ""
    if raw and file:
        faults.append(Fault(variable.name, f"is given beside {variable.name}_FILE", "keep one of the two"))
    elif file:
        try:
            raw = (cwd / file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = f"cannot be read ({getattr(error, 'strerror', 'not text')})"
            faults.append(Fault(f"{variable.name}_FILE", problem, "correct the path or the permissions"))
    try:
        return variable.parse(raw or variable.default)
    except Faulty as fault:
        faults.append(Fault(variable.name, fault.problem, fault.remedy))
        return variable.parse(variable.default)


def _misspelt(env: Mapping[str, str]) -> list[Fault]:
    """Variables that look like one of ours but are none: a typo here would silently serve the demo shop."""
    known = [v.name for v in VARIABLES] + [f"{v.name}_FILE" for v in VARIABLES if v.secret]
    return [
        Fault(name, "is not a known variable", f"correct or remove it{hint}")
        for name in sorted(env)
        if name.startswith("HUITOU_") and name not in known and (hint := meant(name, known, cutoff=0.85))
    ]


def _own_key(home: Path) -> Secret:
    try:
        key = kept_key(home / "secret.key")
    except OSError as error:
        raise SettingsError([Fault("HUITOU_HOME", f"{home} cannot be written ({error.strerror})",
                                   "choose a directory of your own or set HUITOU_SECRET_KEY")]) from None
    try:
        return _secret_key(key.reveal() or "empty")
    except Faulty as fault:
        raise SettingsError([Fault(str(home / "secret.key"), fault.problem, "restore it from a backup; remove it "
                                   "only if no personal data was stored yet")]) from None


def _demo_accounts(key: Secret, port: int, home: Path) -> Accounts:
    """The demo shop, its secrets derived from ``key``: the same at every start, different on every instance.

    It pays out once its key pairs are made (``demo_keys.make_demo_pairs``: what the first start does).
    """
    raw = tomllib.loads(DEMO_ACCOUNTS.read_text(encoding="utf-8"))
    raw["wechat"][DEMO_ACCOUNT] |= {
        "app_secret": derive(key, "demo app secret").hex()[:32],
        "token": derive(key, "demo token").hex()[:32],
        "encoding_aes_key": _base64(derive(key, "demo aes key"))[:43],
        "api_base": f"http://127.0.0.1:{port}/sim/weixin",
    }
    raw["wecom"][DEMO_CORP] |= {
        "secret": derive(key, "demo wecom secret").hex()[:43],
        "token": derive(key, "demo wecom token").hex()[:32],
        "encoding_aes_key": _wecom_key(derive(key, "demo wecom aes key")),
        "api_base": f"http://127.0.0.1:{port}/sim/qyapi",
    }
    raw["api"][DEMO_SOURCE] |= {
        "webhook_secret": "whsec_" + _base64(derive(key, "demo webhook secret")),
        "api_key": derive(key, "demo api key").hex(),
    }
    if (pairs := demo_pairs(home)) is not None:
        for merchant in raw["pay"].values():
            merchant |= {
                "serial_no": pairs[0].serial, "private_key": pairs[0].key,
                "api_v3_key": derive(key, "demo api v3 key").hex()[:32],
                "api_base": f"http://127.0.0.1:{port}/sim/pay",
            }
    else:
        del raw["pay"]
    faults: list[Fault] = []
    accounts = parse_accounts(raw, base=DEMO_ACCOUNTS.parent, demo=True, faults=faults)
    if accounts is None:
        raise SettingsError(faults)
    return accounts


def _wecom_key(raw: bytes) -> str:
    """WeCom's EncodingAESKeys have letters and digits only."""
    return _base64(raw)[:43].replace("+", "p").replace("/", "s")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def env_example() -> str:
    """The text of .env.example: every variable with its meaning and default."""
    blocks = [
        "# Settings of Huitou. Copy to .env and change what you need; the environment wins over this file.\n"
        "# Generated: python -m bot env-example > .env.example\n"
    ]
    for variable in VARIABLES:
        also = f" Or {variable.name}_FILE: path of a file that holds it." if variable.secret else ""
        meaning = textwrap.fill(variable.meaning + also, 100, initial_indent="# ", subsequent_indent="# ")
        blocks.append(f"{meaning}\n#{variable.name}={variable.default}\n")
    return "\n".join(blocks)
