"""Which notices may leave as cards, with which fields, and in which order the ways are tried. Pure.

A card is a template message (a follow is enough) or a subscription notice (one tap of the person is one message).
The platform allows them for what serves the person, never for advertising: so the kinds are closed, and there is none
for marketing. The only card for a wish of the shop is a reminder that the person asked for by a tap of their own.

Limits of fields: the platform's table of template parameters (thing: 20 characters, amount: one currency sign and ten
digits, …). What is too long is cut; what cannot be made to fit is said, and the next way is tried.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Literal, Self

from domain.shared.records import record

Channel = Literal["custom", "subscription", "template", "staff"]
CHANNELS: tuple[Channel, ...] = ("custom", "subscription", "template", "staff")
"""Customer message within a window; one-time subscription; template message; a task of an employee (WeCom)."""
CARDS: tuple[Channel, ...] = ("subscription", "template")

Kind = Literal["order", "earnings", "service", "reminder"]
KINDS: Mapping[Kind, tuple[Channel, ...]] = {
    "order": CARDS, "earnings": CARDS, "service": CARDS, "reminder": ("subscription",),
}
"""Kind of notice -> the cards that it may leave as."""

BY_STAFF = ("service", "marketing")
"""Purposes that may go through an employee's hands: answers are waited for, and money is nobody's business."""

PURPOSES = ("answer", "money", "service", "marketing")
PREFIX = "card."
"""Texts of the fields: ``card.<key of the notice>.<field>`` in assets/copy."""
TEMPLATE_ID = re.compile(r"[A-Za-z0-9_-]{20,64}")
_KEY = re.compile(r"([a-z_]+?)\d{1,2}")

KIND_NOT_ALLOWED, NO_TEMPLATE, NO_TOKEN = "kind_not_allowed", "no_template", "no_token"
NOT_SERVICE = "not_a_service_account"


class Unfit(ValueError):
    """A value that cannot be made to fit its field; the text names the field."""


class BadCatalogue(ValueError):
    """The table of cards is not usable; ``faults`` has every reason."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@record
class Template:
    """A template as it was added on the platform: its fields in order, key -> label. ``offer`` is what somebody is
    told before they allow it; '' for one that nobody is asked for."""

    name: str
    title: str
    kind: Kind
    fields: Mapping[str, str]
    offer: str = ""

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(one for one in KINDS[self.kind] if one != "subscription" or self.offer)


@record
class Catalogue:
    """The closed table: notice -> template. ``ids``: account -> way -> template name -> id: the platform keeps the
    templates of template messages and of subscription notices apart. ``services``: accounts that may send cards."""

    templates: Mapping[str, Template]
    notices: Mapping[str, Template]
    order: Mapping[str, tuple[Channel, ...]]
    ids: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    services: frozenset[str] = frozenset()

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of assets/notice_templates.toml. Raises BadCatalogue with every fault."""
        return cls(*_read(tomllib.loads(toml)))

    def at(self, ids: Mapping[str, Mapping[str, Mapping[str, str]]], services: Iterable[str]) -> "Catalogue":
        """The same with the accounts that this shop has."""
        return Catalogue(self.templates, self.notices, self.order, ids, frozenset(services))

    def missing(self, texts: Mapping[str, frozenset[str]]) -> list[str]:
        """What the texts lack for the table, one sentence each. ``texts``: every key of copy with its placeholders."""
        faults = []
        for key, template in self.notices.items():
            if key not in texts:
                faults.append(f"notice {key}: there is no such text")
            for name in template.fields:
                wanted = f"{PREFIX}{key}.{name}"
                if wanted not in texts:
                    faults.append(f"notice {key}: the text {wanted} is missing")
                elif unknown := texts[wanted] - texts.get(key, frozenset()):
                    faults.append(f"{wanted}: {', '.join(sorted(unknown))} is no fact of {key}")
        spare = {one.removeprefix(PREFIX).rpartition(".") for one in texts if one.startswith(PREFIX)}
        faults += [f"text {PREFIX}{key}.{name}: the template of {key} has no such field" for key, _, name in spare
                   if name not in getattr(self.notices.get(key), "fields", {})]
        return sorted(faults)

    def id_of(self, channel: Channel, account: str, key: str) -> str:
        """The platform's id of a notice's template for this way, '' when the account has none."""
        template = self.notices.get(key)
        return self.known(account, channel).get(template.name, "") if template else ""

    def known(self, account: str, channel: Channel) -> Mapping[str, str]:
        """The account's templates for this way: name -> id."""
        return self.ids.get(account, {}).get(channel, {})

    def offered(self, account: str) -> list[tuple[Template, str]]:
        """What people of the account may allow: template and its id."""
        known = self.known(account, "subscription")
        return [(one, known[name]) for name, one in self.templates.items() if one.offer and name in known]

    def objection(self, channel: Channel, account: str, key: str, purpose: str) -> str:
        """Why a card may not be used for this notice at all; '' when it may."""
        template = self.notices.get(key)
        if purpose == "marketing" and (template is None or template.kind != "reminder"):
            return KIND_NOT_ALLOWED
        if template is None:
            return NO_TEMPLATE
        if channel not in template.channels:
            return KIND_NOT_ALLOWED
        if account not in self.services:
            return NOT_SERVICE
        return "" if self.id_of(channel, account, key) else NO_TEMPLATE


def _read(raw: Mapping[str, Any]) -> tuple[dict[str, Template], dict[str, Template], dict[str, tuple[Channel, ...]]]:
    faults = [f"{name} is no part of the table" for name in raw if name not in ("order", "template", "notice")]
    templates: dict[str, Template] = {}
    for name, table in raw.get("template", {}).items():
        faults += [f"template {name}: {fault}" for fault in _faults(table)]
        if not _faults(table):
            templates[name] = Template(name, table["title"], table["kind"], table["fields"], table.get("offer", ""))
    notices: dict[str, Template] = {}
    for key, name in raw.get("notice", {}).items():
        if name in templates:
            notices[key] = templates[name]
        else:
            faults.append(f"notice {key}: there is no template {name}")
    order = {purpose: tuple(raw.get("order", {}).get(purpose, ("custom",))) for purpose in PURPOSES}
    faults += [f"order.{purpose}: {', '.join(ways)} is not an order of {', '.join(CHANNELS)}"
               for purpose, ways in order.items() if len(set(ways)) < len(ways) or not set(ways) <= set(CHANNELS)]
    faults += [f"order.{purpose}: staff is the last way, and only of {' and '.join(BY_STAFF)}"
               for purpose, ways in order.items()
               if "staff" in ways and (purpose not in BY_STAFF or ways[-1] != "staff")]
    if faults:
        raise BadCatalogue(faults)
    return templates, notices, order


def _faults(table: Any) -> list[str]:
    if not isinstance(table, dict) or set(table) - {"title", "kind", "fields", "offer"}:
        return ["takes title, kind, fields and offer"]
    faults = []
    if table.get("kind") not in KINDS:
        faults.append(f"{table.get('kind')} is none of the kinds that the platform allows: {', '.join(KINDS)}")
    if not isinstance(table.get("title"), str) or not table["title"]:
        faults.append("needs a title")
    fields = table.get("fields")
    if not isinstance(fields, dict) or not 2 <= len(fields) <= 5:
        return [*faults, "needs two to five fields"]
    return faults + [f"{key}: no rule is known for such a field" for key in fields if kind_of(key) not in _FITTERS]


def kind_of(key: str) -> str:
    """``thing2`` -> ``thing``; '' for what is no field's key."""
    found = _KEY.fullmatch(key)
    return found[1] if found else ""


def fit(key: str, value: str) -> str:
    """``value`` as the field ``key`` takes it. Raises Unfit."""
    fitted = _FITTERS[kind_of(key)](" ".join(value.split()))
    if not fitted:
        raise Unfit(key)
    return fitted


def _cut(most: int, value: str) -> str:
    """At most so many characters, the last one an ellipsis when something is missing."""
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def _kept(pattern: str, most: int, value: str) -> str:
    """Only the characters that are allowed, and not too many of them."""
    return "".join(re.findall(pattern, value))[:most]


_AMOUNT = re.compile(r"([¥￥$€£]?)(\d{1,10})((?:\.\d{1,2})?)(元?)")
_WHOLE = re.compile(r"\d{1,32}|\d{1,31}\.\d{1,30}")
_WHEN = re.compile(r"(?:\d{4}年\d{1,2}月\d{1,2}日|\d{4}-\d{2}-\d{2})?(?: ?\d{1,2}:\d{2}(?::\d{2})?)?")


def _amount(value: str) -> str:
    found = _AMOUNT.fullmatch(value.replace(",", "").replace(" ", ""))
    return found.group() if found else ""


def _number(value: str) -> str:
    plain = value.replace(",", "")
    return plain if len(plain) <= 32 and _WHOLE.fullmatch(plain) else ""


def _when(value: str) -> str:
    ends = value.split("~")
    return value if len(ends) <= 2 and all(one and _WHEN.fullmatch(one) for one in ends) else ""


def _name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z ]*", value):
        return value[:20]
    return _kept(r"[\u4e00-\u9fff]", 10, value)


_FITTERS = {
    "thing": lambda value: _cut(20, value),
    "short_thing": lambda value: _cut(10, value),
    "character_string": lambda value: _kept(r"[!-~]", 32, value),
    "number": _number,
    "letter": lambda value: _kept(r"[A-Za-z]", 32, value),
    "symbol": lambda value: _kept(r"[^\w\s]", 5, value),
    "amount": _amount,
    "phrase": lambda value: _kept(r"[\u4e00-\u9fff]", 5, value),
    "name": _name,
    "phone_number": lambda value: _kept(r"[0-9+-]", 17, value),
    "car_number": lambda value: value if len(value) <= 8 else "",
    "time": _when,
    "date": _when,
}
"""Kind of field -> what makes a value fit; '' when nothing can."""
