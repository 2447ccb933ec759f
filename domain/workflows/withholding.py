"""The month's declaration of withheld tax: who was paid how much, with names and ID numbers in the open.

Every person's data is revealed under the name of the operator who asked and with the month as the reason, so the log
tells of each; the export itself is one more line.
"""

from collections.abc import Iterator
from dataclasses import field
from datetime import date, datetime

from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.payouts import queries
from domain.payouts.queries import Withheld
from domain.payouts.rules import WITHDRAWAL
from domain.shared.errors import DomainError
from domain.shared.records import record
from domain.vault import service as vault
from domain.vault.seal import Vault


@record
class Line:
    """One person's month. Its repr shows no name."""

    sums: Withheld
    real_name: str = field(repr=False)
    id_number: str = field(repr=False)


def declaration(
    session: Session, keys: Vault, month: date, actor: Actor, now: datetime, kind: str = WITHDRAWAL
) -> Iterator[Line]:
    """The lines of a Shanghai month (any day of it), by person: of labour, or of gifts (``kind`` red_packet; their
    people were not asked for a name, so it may be missing). Raises DomainError("not_permitted")."""
    if not actor.may(frozenset({"owner", "finance"})):
        raise DomainError("not_permitted", act="tax.export")
    found = queries.withheld(session, month, kind)
    name = f"{month:%Y-%m}"
    audit.record(session, actor, "tax.export", f"month:{name}", {
        "kind": kind, "people": len(found), "gross_fen": sum(one.gross_fen for one in found),
        "tax_fen": sum(one.tax_fen for one in found)}, now)
    for one in found:
        known = vault.reveal(session, keys, one.person_id, ["real_name", "id_number"], actor,
                             f"tax declaration {name}", now)
        yield Line(one, known.real_name, known.id_number)
