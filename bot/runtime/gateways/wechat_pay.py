"""WeChat Pay's merchant transfer behind the port ``bot.kit.pay.PayGateway``: one bill a call, of the one scene that the
merchant account was approved for (1005 commissions, 1000 cash marketing).

Checks everything that the platform would refuse before calling, so that a refusal never leaves a number half used;
believes what is signed, fresh and about our bill; and calls all else UNKNOWN, which asks for a query of the same
number. The wire is in ``pay_core``, the meaning of answers in ``pay_answers``.
"""

import gzip
import hashlib
import hmac
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine
from wechatpayv3.utils import aes_decrypt

from bot.kit.pay import (
    BadNotification,
    Bill,
    FundBillNotReady,
    FundLine,
    MalformedNotification,
    Notification,
    PayOutcome,
    PayResult,
    Purpose,
)
from bot.runtime.accounts import PayAccount
from bot.runtime.gateways import fund_bill
from bot.runtime.gateways.pay_answers import Call, moment, result_of, view_of
from bot.runtime.gateways.pay_certificates import Certificates, PublicKey
from bot.runtime.gateways.pay_core import MAX_FILE, Merchant, Patience, PayClient, PayCore, Reply, Unanswered, Unsigned
from domain.shared.records import record

MIN_FEN, NAME_FROM_FEN, NAME_ALLOWED_FROM_FEN = 10, 200_000, 30
MAX_TEXT = 32
FINISHED = "MCHTRANSFER.BILL.FINISHED"
NO_KEYS_REST = timedelta(minutes=1)
_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
_OPENID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_DOWNLOAD = "/v3/billdownload/file"


@record
class Scene:
    """What the platform wants to read with each bill of a scene: its two items, and what we say when nobody did."""

    items: tuple[str, str]
    said: tuple[str, str]
    purpose: Purpose


GIFTS = "1000"
COMMISSIONS = Scene(("岗位类型", "报酬说明"), ("推广员", "推广商品的佣金"), "commission")
SCENES = {GIFTS: Scene(("活动名称", "奖励说明"), ("老客回馈", "复购奖励红包"), "gift")}


def scene_of(number: str) -> Scene:
    return SCENES.get(number, COMMISSIONS)


def merchant_of(account: PayAccount, public_url: str, demo: bool) -> Merchant:
    """What the gateway needs of the settings. Only an https address is given for notifications, but in the demo any."""
    notify_url = f"{public_url}/pay/{account.account}/notify"
    return Merchant(
        account.account, account.mch_id, account.app_id, account.serial_no, account.private_key.reveal(),
        account.api_v3_key.reveal(), account.public_key, account.public_key_id, account.scene,
        account.scene_job or scene_of(account.scene).said[0], account.scene_reward or scene_of(account.scene).said[1],
        account.fund_account, account.api_base,
        notify_url if demo or notify_url.startswith("https://") else "")


def _real_now() -> datetime:
    return datetime.now(UTC)


class WeChatPay:
    """One merchant account. ``now`` is business time (for ``retry_at``); signatures live by ``real_now``."""

    def __init__(self, merchant: Merchant, engine: Engine, now: Callable[[], datetime], *,
                 patience: Patience | None = None, real_now: Callable[[], datetime] = _real_now,
                 observe: Callable[[str, str], None] = lambda call, code: None) -> None:
        self.account, self.app_id, self.mch_id = merchant.account, merchant.app_id, merchant.mch_id
        self._merchant, self._now, self._observe = merchant, now, observe
        self._scene = scene_of(merchant.scene)
        self.purpose = self._scene.purpose
        self.keys = PublicKey(merchant) if merchant.public_key else Certificates(merchant, engine, real_now)
        self._patience, self._real_now = patience or Patience(), real_now

    def __repr__(self) -> str:
        return f"WeChatPay({self.account!r})"

    @cached_property
    def _core(self) -> PayCore:
        """Made when it is first needed: reading a key takes 50 ms, and most processes never pay."""
        return PayCore(self._merchant, self.keys.held, self._patience, self._real_now)

    @cached_property
    def _client(self) -> PayClient:
        return PayClient(self._merchant, self._core)

    def transfer(self, bill: Bill) -> PayResult:
        """See the port. Whoever retries must query first; the same number with another body is UNKNOWN, never paid."""
        if problem := problem_of(bill):
            return self._seen("transfer", PayResult(PayOutcome.REFUSED, code="NOT_SENT", detail=problem))
        said = (self._merchant.scene_job, self._merchant.scene_reward)
        infos = [{"info_type": item, "info_content": words}
                 for item, words in zip(self._scene.items, said, strict=True)]
        return self._ask("transfer", bill.out_bill_no, lambda: self._client.mch_transfer_bills(
            out_bill_no=bill.out_bill_no, transfer_scene_id=self._merchant.scene, openid=bill.openid,
            transfer_amount=bill.amount_fen, transfer_remark=bill.remark, user_name=bill.user_name or None,
            transfer_scene_report_infos=infos))

    def query(self, out_bill_no: str) -> PayResult:
        """See the port."""
        return self._ask("query", out_bill_no, lambda: self._client.mch_transfer_bills_query(out_bill_no))

    def cancel(self, out_bill_no: str) -> PayResult:
        """See the port."""
        return self._ask("cancel", out_bill_no, lambda: self._client.mch_transfer_bills_cancel(out_bill_no))

    def _ask(self, call: Call, number: str, act: Callable[[], Reply]) -> PayResult:
        if not _NUMBER.fullmatch(number):
            return self._seen(call, PayResult(PayOutcome.REFUSED, code="NOT_SENT", detail="out_bill_no"))
        try:
            self.keys.refresh(self._core)
        except Unanswered as fault:
            # Nothing was sent yet, so nothing is unknown: without keys no answer could be believed.
            unknown = fault.code in ("CERTIFICATES_401", "CERTIFICATES_403")
            return self._seen(call, PayResult(PayOutcome.CONFIG, code=fault.code) if unknown else PayResult(
                PayOutcome.BUSY, code=fault.code, retry_at=self._now() + NO_KEYS_REST))
        try:
            reply = act()
        except Unanswered as fault:
            return self._seen(call, PayResult(PayOutcome.UNKNOWN, code=fault.code))
        return self._seen(call, result_of(call, reply, number, self._merchant.mch_id, self.app_id, self._now()))

    def _seen(self, call: str, result: PayResult) -> PayResult:
        self._observe(call, result.code or (result.view.state if result.view else result.outcome))
        return result

    def fund_bill(self, day: date) -> list[FundLine]:
        """See the port. A day without movement is an empty list."""
        try:
            self.keys.refresh(self._core)
            told = self._bill_address(day)
            lines = [] if told is None else fund_bill.parse(self._bill_text(told), day)
        except (Unanswered, fund_bill.NotAFundBill) as fault:
            self._observe("fund_bill", getattr(fault, "code", "UNREADABLE"))
            raise FundBillNotReady(str(fault)) from None
        self._observe("fund_bill", "OK")
        return lines

    def _bill_address(self, day: date) -> dict[str, str] | None:
        """Where the file is and its hash; None when nothing moved that day. Raises Unanswered."""
        reply: Reply = self._client.fundflow_bill(day.isoformat(), self._merchant.fund_account)
        body = reply.json()
        if reply.status != 200:
            code = body.get("code") if isinstance(body, dict) else ""
            if code == "NO_STATEMENT_EXIST" and not reply.doubt:
                return None
            raise Unanswered(code if isinstance(code, str) and code.isascii() and code else f"HTTP_{reply.status}")
        if not reply.believed or not isinstance(body, dict) or body.get("hash_type") != "SHA1":
            raise Unanswered("UNVERIFIED")
        return {name: str(body.get(name, "")) for name in ("hash_value", "download_url")}

    def _bill_text(self, told: Mapping[str, str]) -> str:
        """The file, whole and unchanged: its hash came with a signature, so it needs none. Raises Unanswered."""
        parts = urlsplit(told["download_url"])
        if not parts.path.endswith(_DOWNLOAD):
            raise Unanswered("OTHER_ADDRESS")
        # The host of the address is not followed: our signature goes to api_base only.
        reply: Reply = self._core.request(f"{_DOWNLOAD}?{parts.query}", skip_verify=True)
        if reply.status != 200:
            raise Unanswered(f"HTTP_{reply.status}")
        try:
            with gzip.open(io.BytesIO(reply.raw)) as file:
                raw = file.read(MAX_FILE + 1)
        except (OSError, EOFError, zlib.error):
            raise Unanswered("NOT_GZIP") from None
        digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        if len(raw) > MAX_FILE or not hmac.compare_digest(digest, told["hash_value"].lower()):
            raise Unanswered("WRONG_HASH")
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unanswered("NOT_UTF8") from None

    def read_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """See the port. Raises MalformedNotification when it is signed and yet not as promised; never calls out."""
        told = {name.title(): value for name, value in headers.items()}
        try:
            self._core.verify(told, body)
        except Unsigned as doubt:
            raise BadNotification(doubt.reason) from None
        try:
            outer = json.loads(body)
            bill = self._opened(outer)
            view, at = view_of(bill), moment(outer.get("create_time"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise MalformedNotification("not the envelope that was agreed") from None
        if view is None or bill.get("mch_id") != self._merchant.mch_id:
            raise MalformedNotification("not a bill of ours that we can read")
        stamp = datetime.fromtimestamp(int(told["Wechatpay-Timestamp"]), UTC)
        return Notification(outer["id"], view, at or stamp)

    def _opened(self, outer: dict[str, Any]) -> dict[str, Any]:
        """The bill inside. Raises ValueError and its like."""
        resource, name = outer["resource"], outer["id"]
        if (outer["event_type"], outer["resource_type"], resource["algorithm"]) != (
                FINISHED, "encrypt-resource", "AEAD_AES_256_GCM"):
            raise ValueError
        if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isprintable():
            raise ValueError
        text = aes_decrypt(resource["nonce"], resource["ciphertext"], resource.get("associated_data") or "",
                           self._merchant.api_v3_key)
        bill = json.loads(text or "")
        if not isinstance(bill, dict):
            raise ValueError
        return bill


def problem_of(bill: Bill) -> str:
    """What the platform would not take in a bill; '' when nothing. Names the field, never its content."""
    if not _NUMBER.fullmatch(bill.out_bill_no):
        return "out_bill_no"
    if not _OPENID.fullmatch(bill.openid):
        return "openid"
    if type(bill.amount_fen) is not int or bill.amount_fen < MIN_FEN:
        return "amount_fen"
    if not bill.remark.strip() or len(bill.remark) > MAX_TEXT or not bill.remark.isprintable():
        return "remark"
    if bill.user_name and (bill.amount_fen < NAME_ALLOWED_FROM_FEN or not bill.user_name.isprintable()
                           or len(bill.user_name.encode()) > 200):
        return "user_name"
    if bill.amount_fen >= NAME_FROM_FEN and not bill.user_name:
        return "user_name is needed from 2,000 yuan"
    return ""
