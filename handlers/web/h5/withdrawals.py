"""/me/withdrawals: what became of my withdrawals; /me/withdrawals/<id>: one of them, and the button that confirms.

The provider pays only what its person confirms inside WeChat. The page hands WeChat the package of each waiting bill;
"shown" is all that WeChat answers, so the state is read again from the books.
"""

from bot.kit.pay import PayGateways
from domain.ledger import queries as ledger
from domain.payouts import queries
from domain.payouts.queries import BillView, WithdrawalView
from handlers.web.h5.pages import Content, NotThere, Page, Visit

SHOWN = 20


def show(visit: Visit) -> Content:
    if not visit.part:
        rows = queries.of_person(visit.session, visit.person.id, SHOWN)
        return {"found": None, "rows": rows, "waiting": [], "states": _words(visit, "state", {r.state for r in rows})}
    known = visit.part.isascii() and visit.part.isdecimal() and len(visit.part) < 19
    found = queries.by_id(visit.session, int(visit.part)) if known else None
    if found is None or found.person_id != visit.person.id:
        raise NotThere
    return {"found": found, "rows": [], "waiting": _waiting(visit, found), "reason": _reason(visit, found),
            "repaid_fen": queries.repaid(visit.session, found.id) if found.ended_at else 0,
            "states": _words(visit, "state", {found.state}),
            "bill_states": _words(visit, "bill_state", {_state(found, bill) for bill in found.bills}),
            "state_of": lambda bill: _state(found, bill)}


def _state(found: WithdrawalView, bill: BillView) -> str:
    """A bill that waits for nobody any more, as it is being called back."""
    return "CANCELING" if found.cancelling and bill.state == "WAIT_USER_CONFIRM" else bill.state


def _words(visit: Visit, kind: str, states: set[str]) -> dict[str, str]:
    return {state: visit.copy.render(f"h5.withdrawals.{kind}.{state}") for state in states}


def _waiting(visit: Visit, found: WithdrawalView) -> list[dict[str, object]]:
    gateway = visit.tool(PayGateways).by_account.get(found.account)
    frozen = ledger.frozen(visit.session, visit.person.id)
    return [
        {"fen": bill.amount_fen, "package": bill.package_info, "app": found.app_id,
         "merchant": gateway.mch_id if gateway else ""}
        for bill in found.bills if bill.state == "WAIT_USER_CONFIRM" and bill.package_info
        and not found.cancelling and not frozen
    ]


def _reason(visit: Visit, found: WithdrawalView) -> str:
    key = f"payout.cause.{found.reason}"
    return visit.copy.render(key) if visit.copy.has(key) else found.reason


PAGE = Page("withdrawals", show, script="confirm.js", sdk=True)
