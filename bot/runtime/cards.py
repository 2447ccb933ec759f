"""The table of cards with this shop's accounts: read at the start, every fault at once, each with its remedy."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from bot.kit.gateway import GatewayError
from bot.runtime.documents import written
from bot.runtime.faulty import Fault
from bot.runtime.findings import REMEDIES, Finding
from bot.runtime.gateways.wechat import WeChatGateway
from bot.runtime.settings import Settings, SettingsError
from bot.runtime.voice import Voice
from domain.subscriptions.rules import BadCatalogue, Catalogue

TABLE = Path(__file__).parents[2] / "assets" / "notice_templates.toml"


def load(settings: Settings, voice: Voice) -> Catalogue:
    """The catalogue with the ids of the accounts. Raises SettingsError."""
    try:
        table = written(Catalogue.load, TABLE)
    except BadCatalogue as error:
        raise SettingsError([Fault(TABLE.name, fault, "see the head of the file: no marketing by template")
                             for fault in error.faults]) from None
    faults = [Fault(TABLE.name, fault, "add the text to assets/copy/cards.toml, with the facts of that notice only")
              for fault in table.missing(voice.keys())]
    for name, account in settings.wechat.items():
        faults += [Fault(f"wechat.{name}.{kind}.{one}", "names no template of notice_templates.toml",
                         f"use one of: {', '.join(table.templates)}")
                   for kind, given in (("templates", account.templates), ("subscriptions", account.subscriptions))
                   for one in given if one not in table.templates]
    if faults:
        raise SettingsError(faults)
    return table.at({name: {"template": account.templates, "subscription": account.subscriptions}
                     for name, account in settings.wechat.items()},
                    [name for name, account in settings.wechat.items() if account.type == "service"])


_FIELD = re.compile(r"\{\{\s*([a-z_]+\d{1,2})\.DATA\s*\}\}")


def findings(catalogue: Catalogue, account: str, gateway: WeChatGateway) -> Iterator[Finding]:
    """For the doctor: the account's template messages as the platform has them, against the table."""
    check, ids = f"templates ({account})", catalogue.known(account, "template")
    if not ids:
        return
    if account not in catalogue.services:
        remedy = "remove the account's templates, or use a verified service account"
        yield Finding(check, "red", "only service accounts may send cards", remedy)
        return
    try:
        there = gateway.templates()
    except GatewayError as error:
        yield Finding(check, "yellow", str(error), REMEDIES.get(error.result.errcode, "run doctor again later"))
        return
    wrong = list(_wrong(catalogue, ids, there, check))
    yield from wrong or [Finding(check, "green", f"{len(ids)} templates are as the table says")]


def _wrong(catalogue: Catalogue, ids: Mapping[str, str], there: Mapping[str, str], check: str) -> Iterator[Finding]:
    for name, template_id in ids.items():
        wanted = set(catalogue.templates[name].fields)
        if template_id not in there:
            yield Finding(check, "red", f"{name}: the account has no template of that id", REMEDIES[40037])
        elif (found := set(_FIELD.findall(there[template_id]))) != wanted:
            fields = ", ".join(sorted(found))
            yield Finding(check, "red", f"{name}: on the platform it has the fields {fields}", REMEDIES[47003])
