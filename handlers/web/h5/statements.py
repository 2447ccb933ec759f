"""/me/statements: one's months in money, and /me/statements/<month> with every line, also as a CSV file (?as=csv)."""

import csv
import io
from datetime import datetime

from bot.kit.copy import Copy
from domain.settlements import queries as settlements
from domain.settlements.rules import Month
from domain.settlements.statements import Statement, months_of, statement
from domain.shared.clock import SHANGHAI
from domain.shared.errors import DomainError
from handlers.web.h5.pages import Content, File, NotThere, Page, Visit

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run instead of showing it."""


def show(visit: Visit) -> Content | File:
    """The month of the address, else the newest; with a list of all of them."""
    months = [str(month) for month in months_of(visit.session, visit.person.id)]
    month = _wanted(visit, months)
    found = statement(visit.session, visit.person.id, month)
    if visit.asked.get("as") == "csv":
        return File(f"{month}.csv", csv_of(found, visit.copy))
    return {
        "statement": found, "months": months, "brought": settlements.month_view(visit.session, visit.person.id, month),
        "reasons": {line.reason: reason(visit.copy, line.reason) for line in found.lines},
    }


def _wanted(visit: Visit, months: list[str]) -> Month:
    if not visit.part:
        return Month.parse(months[0]) if months else Month.of(visit.now)
    try:
        month = Month.parse(visit.part)
    except DomainError:
        raise NotThere from None
    if month.first > Month.of(visit.now).first:
        raise NotThere
    return month


def csv_of(found: Statement, copy: Copy) -> bytes:
    """A statement as a file that spreadsheets open as it is: UTF-8 with BOM, amounts in yuan, one line a movement
    between the opening and the closing balance."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow([copy.render(f"statement.column_{name}") for name in
                   ("at", "booked_at", "part", "reason", "cause", "fen")])
    rows.writerow(["", "", copy.render("statement.opening"), "", "", _yuan(found.opening_fen)])
    for line in found.lines:
        rows.writerow([
            _local(line.at), _local(line.booked_at), copy.render(f"statement.{line.part}"), reason(copy, line.reason),
            _safe(line.cause), _yuan(line.fen),
        ])
    rows.writerow(["", "", copy.render("statement.closing"), "", "", _yuan(found.closing_fen)])
    return out.getvalue().encode("utf-8-sig")


def reason(copy: Copy, kind: str) -> str:
    """A journal's kind in the shop's words; one that has none yet shows as it is."""
    key = f"reason.{kind}"
    return copy.render(key) if copy.has(key) else kind


def _local(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _yuan(fen: int) -> str:
    """``-1234`` → ``-12.34``."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


PAGE = Page("statements", show)
