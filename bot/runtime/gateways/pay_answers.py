"""What an answer of WeChat Pay means: a closed table of its error codes, and its bills in our words.

Whatever is not in the table is UNKNOWN: the documentation asks three times not to take a new number after an error
that one does not know (pay.weixin.qq.com/docs/merchant/apis/mch-trans/transfer-bill/transfer-to-user.html).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bot.kit.pay import BillView, PayOutcome, PayResult, PayState
from bot.runtime.gateways.pay_core import Reply

Call = Literal["transfer", "query", "cancel"]

MAX_FEN = 10**13
"""More than any bill, and far below where sums leave 64 bits."""
BUSY_REST = timedelta(seconds=2)
"""The windows of the limits are a second long."""

_EVERYWHERE: Mapping[str, PayOutcome] = {
    **dict.fromkeys(("FREQUENCY_LIMIT_EXCEED", "FREQUENCY_LIMITED", "FREQUENCY_LIMIT", "RATELIMIT_EXCEED",
                     "RATELIMIT_EXCEEDED"), PayOutcome.BUSY),
    **dict.fromkeys(("SIGN_ERROR", "NO_AUTH", "APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS", "ACCOUNT_ERROR",
                     "ACCOUNT_NOT_VERIFIED", "CONTRACT_NOT_EXISTS", "CONTRACT_NOT_CONFIRM", "NOT_ENOUGH"),
                    PayOutcome.CONFIG),
}
_BY_CALL: Mapping[Call, Mapping[str, PayOutcome]] = {
    # ALREADY_EXISTS is missing on purpose: a bill of that number is there, so it has to be looked at.
    "transfer": {"PARAM_ERROR": PayOutcome.REFUSED, "INVALID_REQUEST": PayOutcome.REFUSED},
    "query": {"NOT_FOUND": PayOutcome.NOT_FOUND, "RESOURCE_NOT_EXISTS": PayOutcome.NOT_FOUND},
    "cancel": {"NOT_FOUND": PayOutcome.NOT_FOUND, "RESOURCE_NOT_EXISTS": PayOutcome.NOT_FOUND,
               "INVALID_REQUEST": PayOutcome.REFUSED, "STATE_ERROR": PayOutcome.REFUSED},
}
_STATUS: Mapping[PayOutcome, tuple[int, ...]] = {
    PayOutcome.BUSY: (400, 403, 429), PayOutcome.CONFIG: (400, 401, 403), PayOutcome.REFUSED: (400,),
    PayOutcome.NOT_FOUND: (404,),
}
"""An error code counts only with a status that goes with it: a 5xx settles nothing, whatever its body says."""


def result_of(call: Call, reply: Reply, out_bill_no: str, merchant_id: str, app_id: str, now: datetime) -> PayResult:
    """What ``reply`` says about the bill. Success is believed only when it is signed, failure never settles a bill.

    Error answers need not be signed; a *wrong* signature makes any answer UNKNOWN.
    """
    if reply.doubt:
        return PayResult(PayOutcome.UNKNOWN, code="UNVERIFIED", detail=reply.doubt)
    if not 200 <= reply.status < 300:
        return _error(call, reply, now)
    if not reply.believed:
        return PayResult(PayOutcome.UNKNOWN, code="UNVERIFIED", detail="no signature")
    body = reply.json()
    view = view_of(body) if isinstance(body, dict) else None
    if view is None:
        return PayResult(PayOutcome.UNKNOWN, code="UNREADABLE")
    if view.out_bill_no != out_bill_no or body.get("mch_id", merchant_id) != merchant_id or (
            body.get("appid", app_id) != app_id):
        return PayResult(PayOutcome.UNKNOWN, code="OTHER_BILL", detail="the answer is about another bill")
    return PayResult(PayOutcome.ANSWERED, view)


def _error(call: Call, reply: Reply, now: datetime) -> PayResult:
    body = reply.json()
    code = body.get("code") if isinstance(body, dict) else None
    if not isinstance(code, str) or not code.isascii() or not code.replace("_", "").isalnum() or len(code) > 40:
        return PayResult(PayOutcome.UNKNOWN, code=f"HTTP_{reply.status}")
    outcome = _BY_CALL[call].get(code) or _EVERYWHERE.get(code, PayOutcome.UNKNOWN)
    if reply.status not in _STATUS.get(outcome, (reply.status,)):
        outcome = PayOutcome.UNKNOWN
    # The platform's message may repeat what was sent, so it stays here.
    return PayResult(outcome, code=code, detail=f"HTTP {reply.status}",
                     retry_at=now + BUSY_REST if outcome is PayOutcome.BUSY else None)


def view_of(body: Mapping[str, Any]) -> BillView | None:
    """The bill that an answer or a notification speaks of; None if it is not as promised, or in a state of no name."""
    number, transfer_no = body.get("out_bill_no"), body.get("transfer_bill_no", "")
    amount, openid = body.get("transfer_amount", 0), body.get("openid", "")
    package, reason = body.get("package_info") or "", body.get("fail_reason") or ""
    texts = (number, transfer_no, openid, package, reason)
    # What no column holds (NUL, half a character) is no text; an amount is left out or at least a fen.
    if not number or not all(isinstance(one, str) and one.isprintable() for one in texts):
        return None
    if type(amount) is not int or not ("transfer_amount" not in body or 0 < amount <= MAX_FEN):
        return None
    try:
        state = PayState(body.get("state", ""))
    except ValueError:
        return None
    at = moment(body.get("update_time") or body.get("create_time") or "")
    return BillView(str(number), state, transfer_no, amount, openid,
                    package if state is PayState.WAIT_USER_CONFIRM else "", reason[:64], at)


def moment(text: Any) -> datetime | None:
    """An RFC 3339 time with its zone, in UTC; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None
