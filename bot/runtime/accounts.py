"""The accounts file: which platform accounts, payment accounts and shop systems this instance serves.

Owns the shapes, their checks and the reading of the TOML. Every fault is collected, none stops the reading.
"""

import base64
import binascii
import dataclasses
import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from bot.runtime import pem_files
from bot.runtime.faulty import Fault, Faulty
from bot.runtime.secret import Secret
from domain.shared.records import record
from domain.subscriptions.rules import TEMPLATE_ID

ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
"""Names end up in webhook paths."""
T = TypeVar("T")


def _pattern(expression: str, remedy: str) -> Callable[[Any], str]:
    compiled = re.compile(expression)

    def check(raw: Any) -> str:
        if not isinstance(raw, str) or not compiled.fullmatch(raw):
            raise Faulty("has the wrong shape", remedy)
        return raw

    return check


def _secret(expression: str, remedy: str) -> Callable[[Any], Secret]:
    check = _pattern(expression, remedy)
    return lambda raw: Secret(check(raw))


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def check(raw: Any) -> str:
        if raw not in allowed:
            raise Faulty(f"is not one of {', '.join(allowed)}", f"write one of them{meant(str(raw), allowed)}")
        return str(raw)

    return check


def webhook_secret(raw: Any) -> Secret:
    """A Standard Webhooks secret: ``whsec_`` and base64 of 16 bytes or more (24 to 64 are advised)."""
    try:
        if not isinstance(raw, str) or not raw.startswith("whsec_"):
            raise ValueError
        if len(base64.b64decode(raw.removeprefix("whsec_"), validate=True)) < 16:
            raise ValueError
    except (ValueError, binascii.Error):
        raise Faulty("is no webhook secret", "write whsec_ followed by base64 of 32 random bytes, for instance "
                     'from: python -c "import base64,os;print(\'whsec_\'+base64.b64encode(os.urandom(32)).decode())"',
                     ) from None
    return Secret(raw)


def _webhook_secrets(raw: Any) -> tuple[Secret, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= 4:
        raise Faulty("is not a list of 1 to 4 secrets", "list the new secret first, then the ones still accepted")
    return tuple(webhook_secret(one) for one in raw)


def base_url(raw: Any) -> str:
    """An absolute http(s) address without a trailing slash. Plain http only to this machine or a private net."""
    parts = urlsplit(raw if isinstance(raw, str) else "")
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise Faulty("is not an http(s) address", "write it like https://api.weixin.qq.com")
    if parts.scheme == "http" and not _is_near(host):
        raise Faulty("would send secrets over plain http", "use https")
    return str(raw).rstrip("/")


def _is_near(host: str) -> bool:
    """Whether a host is this machine, a private address, or a name without a domain (a compose service)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".internal", ".local"))
    return address.is_loopback or address.is_private


def _whole(low: int, high: int, remedy: str) -> Callable[[Any], int]:
    def check(raw: Any) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
            raise Faulty(f"is not a whole number from {low} to {high}", remedy)
        return raw

    return check


def _zone(raw: Any) -> ZoneInfo:
    try:
        return ZoneInfo(raw)
    except (KeyError, ValueError, TypeError, OSError):
        raise Faulty("is not a known time zone", "write it like Asia/Shanghai") from None


def aes_key(raw: Any) -> Secret:
    """An EncodingAESKey: 43 characters, letters, digits, + and /."""
    length = len(raw) if isinstance(raw, str) else 0
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9+/]{43}", raw):
        raise Faulty(f"is no EncodingAESKey ({length} characters)",
                     "copy all 43 characters from the platform's server settings, without '='")
    return Secret(raw)


def _template_ids(raw: Any) -> Mapping[str, str]:
    given = raw.values() if isinstance(raw, dict) else [None]
    if not all(isinstance(one, str) and TEMPLATE_ID.fullmatch(one) for one in given):
        raise Faulty("is not a table of template ids", "write it as earned = \"the id from 模板消息\"")
    return dict(raw)


# A field of the dataclasses below is Annotated with what checks and converts its raw value.
_Text = Annotated[str, _pattern(r"(?s).*\S.*", "write some text")]
_AppId = Annotated[str, _pattern(r"wx[0-9A-Za-z]{1,62}", "copy the AppID, wx and 16 characters")]
_OriginalId = Annotated[str, _pattern(r"gh_[0-9A-Za-z_]{1,60}", "copy the original id, it begins with gh_")]
_CorpId = Annotated[str, _pattern(r"(ww|wx)[0-9A-Za-z]{1,62}", "copy the corp id, it begins with ww")]
_Token = Annotated[Secret, _secret(r"[!-~]{3,64}", "write the 3 to 32 letters and digits of the platform's settings")]
_AppSecret = Annotated[Secret, _secret(r"[!-~]{6,128}", "copy the secret from the platform, 32 characters or more")]
_BaseUrl = Annotated[str, base_url]
_Digits = Annotated[str, _pattern(r"[0-9]{6,32}", "copy the merchant number, digits only")]
_Serial = Annotated[str, _pattern(r"[0-9A-Fa-f]{8,64}", "copy the serial number of the merchant certificate")]
_ApiV3Key = Annotated[Secret, _secret(r"[!-~]{32}", "write the 32 characters set in the merchant platform")]
_report_text = _pattern(r"\S(.{0,30}\S)?", "write 1 to 32 characters as approved for the scene")
_ApiKey = Annotated[Secret, _secret(r"[!-~]{4,256}", "write 32 or more random characters")]


@record
class Shop:
    """The shop itself."""

    name: _Text
    timezone: Annotated[ZoneInfo, _zone] = ZoneInfo("Asia/Shanghai")
    helpdesk: Annotated[str, _one_of("queue", "wechat")] = "queue"
    """Who answers 人工: the shop's operators here, or WeChat's own customer service."""


@record
class WeChatAccount:
    """An Official Account; its webhook is ``/wechat/<account>``. ``encoding_aes_key`` is None in plain mode only."""

    account: str
    app_id: _AppId
    app_secret: _AppSecret
    token: _Token
    original_id: _OriginalId
    encoding_aes_key: Annotated[Secret | None, aes_key] = None
    previous_encoding_aes_key: Annotated[Secret | None, aes_key] = None
    type: Annotated[str, _one_of("service", "subscription")] = "service"
    mode: Annotated[str, _one_of("safe", "compatible", "plain")] = "safe"
    api_base: _BaseUrl = "https://api.weixin.qq.com"
    templates: Annotated[Mapping[str, str], _template_ids] = field(default_factory=dict)
    subscriptions: Annotated[Mapping[str, str], _template_ids] = field(default_factory=dict)


@record
class WeComAccount:
    """A WeCom application; its webhook is ``/wecom/<account>``. ``staff_messages``: how many messages a month a
    customer may get through an employee who confirms them (群发助手); 0: none."""

    account: str
    corp_id: _CorpId
    agent_id: Annotated[int, _whole(1, 2**31 - 1, "copy the AgentId of the application")]
    secret: _AppSecret
    token: _Token
    encoding_aes_key: Annotated[Secret, aes_key]
    previous_encoding_aes_key: Annotated[Secret | None, aes_key] = None
    api_base: _BaseUrl = "https://qyapi.weixin.qq.com"
    staff_messages: Annotated[int, _whole(0, 31, "write how many a month, 4 is one a week; 0: none")] = 0


@record
class PayAccount:
    """A WeChat Pay merchant; its callback is ``/pay/<account>/notify``. Keys are PEM text.

    The platform's answers are checked with ``public_key`` (what new merchants get) or, without one, with the
    certificates fetched from it. ``scene`` and its report texts are what the platform approved for this merchant.
    """

    account: str
    mch_id: _Digits
    app_id: _AppId
    serial_no: _Serial
    private_key: Annotated[Secret, pem_files.private_key]
    api_v3_key: _ApiV3Key
    public_key: Annotated[str | None, pem_files.public_key] = None
    public_key_id: Annotated[str | None, _pattern(r"PUB_KEY_ID_[0-9A-Za-z]{8,64}", "copy the whole id")] = None
    certificate: Annotated[str, pem_files.certificate] = ""
    scene: Annotated[str, _pattern(r"[0-9]{4}", "its number: 1005 佣金报酬, 1000 现金营销")] = "1005"
    scene_job: Annotated[str | None, _report_text] = None
    scene_reward: Annotated[str | None, _report_text] = None
    fund_account: Annotated[str, _one_of("OPERATION", "BASIC", "FEES")] = "OPERATION"
    api_base: _BaseUrl = "https://api.mch.weixin.qq.com"


@record
class ApiSource:
    """A system of the shop: signs its events with any of ``webhook_secrets``, reads with ``api_key``."""

    source: str
    webhook_secrets: Annotated[tuple[Secret, ...], _webhook_secrets]
    api_key: _ApiKey


@record
class Accounts:
    """Everything in the accounts file, each kind by its account name."""

    shop: Shop
    wechat: Mapping[str, WeChatAccount]
    wecom: Mapping[str, WeComAccount]
    pay: Mapping[str, PayAccount]
    api: Mapping[str, ApiSource]


_SECTIONS = ("shop", "wechat", "wecom", "pay", "api")


def read_accounts(path: Path, *, demo: bool, faults: list[Fault]) -> Accounts | None:
    """Read ``path``; what is wrong is added to ``faults`` (then the result may be None or incomplete)."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(Fault("HUITOU_ACCOUNTS", f"{path} cannot be read ({error.strerror})", "correct the path or the "
                            "permissions"))
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(Fault(path.name, f"is not valid TOML ({error})", "mend the syntax at that place"))
        return None
    return parse_accounts(raw, base=path.parent, demo=demo, faults=faults)


def parse_accounts(raw: Mapping[str, Any], *, base: Path, demo: bool, faults: list[Fault]) -> Accounts | None:
    """``raw`` as parsed TOML; ``base`` is what relative ``…_file`` paths start from."""
    before = len(faults)
    faults.extend(Fault(f"[{name}]", "is not a known section", f"remove it{meant(name, _SECTIONS)}")
                  for name in raw if name not in _SECTIONS)
    if "shop" not in raw:
        faults.append(Fault("[shop]", "is missing", 'add it with name = "…"'))
    shop = _read(Shop, raw.get("shop", {}), "shop", base, faults) if "shop" in raw else None
    wechat = dict(_each(WeChatAccount, raw.get("wechat", {}), "wechat", base, faults))
    wecom = dict(_each(WeComAccount, raw.get("wecom", {}), "wecom", base, faults))
    pay = dict(_each(PayAccount, raw.get("pay", {}), "pay", base, faults))
    api = dict(_each(ApiSource, raw.get("api", {}), "api", base, faults))
    _check_modes(raw, demo, faults)
    _check_unique(wechat, "wechat", "app_id", faults)
    _check_unique(api, "api", "api_key", faults)
    if shop is None or len(faults) > before:
        return None
    return Accounts(shop, wechat, wecom, pay, api)


def _each(kind: type[T], raw: Any, section: str, base: Path, faults: list[Fault]) -> Iterator[tuple[str, T]]:
    if not isinstance(raw, dict):
        faults.append(Fault(f"[{section}]", "is not a table of accounts", f"write [{section}.main]"))
        return
    for name, table in raw.items():
        where = f"{section}.{name}"
        if not isinstance(table, dict):
            faults.append(Fault(where, "is not a table", f"accounts are named: write [{section}.main] above it"))
        elif not ACCOUNT_NAME.fullmatch(name):
            faults.append(Fault(f"[{where}]", "has a name that cannot be in a path",
                                "use up to 32 small letters, digits, - and _"))
        elif (account := _read(kind, table, where, base, faults, name)) is not None:
            yield name, account


def _read(kind: type[T], table: Any, where: str, base: Path, faults: list[Fault], *name: str) -> T | None:
    """One table as a ``kind``; None when something in it is wrong."""
    if not isinstance(table, dict):
        faults.append(Fault(f"[{where}]", "is not a table", f"write [{where}] on a line of its own"))
        return None
    plural, written = _plural(dict(table), kind)
    given = _open_files(plural, where, base, faults, written)
    if given is None:
        return None
    before, values = len(faults), {}
    fields = _checks(kind)
    for key, raw in given.items():
        if key not in fields:
            faults.append(Fault(f"{where}.{key}", "is not a known key", f"remove it{meant(key, fields)}"))
            continue
        try:
            values[key] = fields[key](raw)
        except Faulty as fault:
            faults.append(Fault(f"{where}.{written.get(key, key)}", fault.problem, fault.remedy))
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        needed = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if needed and one.name in fields and one.name not in given:
            faults.append(Fault(f"{where}.{one.name}", "is missing", f"add it to [{where}]"))
    return kind(*name, **values) if len(faults) == before else None


def _checks(kind: type[Any]) -> dict[str, Callable[[Any], Any]]:
    """Key of the TOML -> what checks and converts its value."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}


def _plural(table: dict[str, Any], kind: type[Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """``webhook_secret = "…"`` is the usual way to write ``webhook_secrets = ["…"]``.

    Returns the table in the plural, and for every key that its author wrote otherwise: key -> as written.
    """
    written: dict[str, str] = {}
    if kind is ApiSource:
        for single in ("webhook_secret", "webhook_secret_file"):
            plural = single.replace("secret", "secrets")
            if single in table and plural not in table:
                written[plural] = single
                if "webhook_secrets" not in table:
                    written["webhook_secrets"] = single
                table[plural] = [table.pop(single)]
    return table, written


def _open_files(
    table: dict[str, Any], where: str, base: Path, faults: list[Fault], written: Mapping[str, str]
) -> dict[str, Any] | None:
    """Replace every ``x_file = path`` by ``x = its content``; None when one cannot be read.

    Faults name a key as its author wrote it (``written``, see ``_plural``).
    """
    before = len(faults)
    for key in [key for key in table if key.endswith("_file")]:
        name, path = key.removesuffix("_file"), table.pop(key)
        paths = path if isinstance(path, list) else [path]
        if name in table:
            faults.append(Fault(f"{where}.{written.get(key, key)}", f"is given beside {written.get(name, name)}",
                                "keep one of the two"))
            continue
        try:
            texts = [(base / str(one)).read_text(encoding="utf-8").strip() for one in paths]
        except (OSError, UnicodeDecodeError) as error:
            problem = f"cannot be read ({getattr(error, 'strerror', 'not text')})"
            faults.append(Fault(f"{where}.{written.get(key, key)}", problem,
                                f"correct the path (relative paths start at {base}) or the permissions"))
            continue
        table[name] = texts if isinstance(path, list) else texts[0]
    return table if len(faults) == before else None


def _check_modes(raw: Mapping[str, Any], demo: bool, faults: list[Fault]) -> None:
    """What keys of one account say together; asked of every table, so that it is told with whatever else is wrong."""
    for name, given in _tables(raw, "pay"):
        if ("public_key" in given) != ("public_key_id" in given):
            faults.append(Fault(f"pay.{name}.public_key", "and public_key_id belong together", "give both or none"))
    for name, given in _tables(raw, "wechat"):
        if given.get("mode") == "plain" and not demo:
            faults.append(Fault(f"wechat.{name}.mode", "plain sends and takes messages without encryption",
                                "choose the safe mode on the platform and write safe here"))
        if given.get("mode") != "plain" and "encoding_aes_key" not in given:
            faults.append(Fault(f"wechat.{name}.encoding_aes_key", "is missing", f"add it to [wechat.{name}]"))


def _tables(raw: Mapping[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every named account of a section as written; ``x_file`` counts as ``x``."""
    tables = raw.get(section)
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict) and ACCOUNT_NAME.fullmatch(name):
            yield name, {key.removesuffix("_file"): value for key, value in table.items()}


def _check_unique(accounts: Mapping[str, object], section: str, key: str, faults: list[Fault]) -> None:
    """What tells two accounts of a kind apart must differ."""
    seen: dict[object, str] = {}
    for name, account in accounts.items():
        first = seen.setdefault(getattr(account, key), name)
        if first != name:
            faults.append(Fault(f"{section}.{name}.{key}", f"is the same as in [{section}.{first}]",
                                "give each its own"))


def meant(given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``; did you mean x?`` when something in ``known`` is close enough, else ''."""
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]}?)" if close else ""

