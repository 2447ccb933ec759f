"""Taking money out: 提现, 提现进度, 取消提现. A dialogue of up to five questions, each asked only when it is needed.

Nothing is held before 确认. What is answered about name and ID number is sealed at once and never said back in full.
"""

import re
from hashlib import sha256
from string import ascii_letters
from unicodedata import normalize

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import BrokenOff, InState, Intent, PictureAt
from bot.kit.links import Links
from bot.kit.pay import PayGateways
from bot.kit.router import Router
from domain.commissions import service as commissions
from domain.commissions.queries import fen_of
from domain.ledger import queries as ledger
from domain.payouts import queries
from domain.payouts import service as payouts
from domain.payouts.queries import Offer, WithdrawalView
from domain.payouts.rules import PacketRules
from domain.payouts.service import Request
from domain.shared.amounts import find_fen, share
from domain.shared.errors import DomainError
from domain.shared.numerals import undressed
from domain.vault import service as vault
from domain.vault.rules import Field
from domain.vault.seal import Vault
from domain.workflows import giving, withdrawing

router = Router(__name__)

AMOUNT = State("withdraw", "amount")
CONSENT = State("withdraw", "consent")
NAME = State("withdraw", "name", secret=True)
ID_NUMBER = State("withdraw", "id_number", secret=True)
CONFIRM = State("withdraw", "confirm")
TAKE_BACK = State("withdraw", "cancel")
ASKED = (AMOUNT, CONSENT, NAME, ID_NUMBER, CONFIRM, TAKE_BACK)

LONG_NAME = 4
"""Characters of a Chinese name. Longer ones are those of minorities, in which no word of ours stands."""


@router.on(InState(AMOUNT))
def amount_said(ctx: Context) -> Answer:
    """An amount, or all of it; who says no or asks for something else instead is answered."""
    said = ctx.message.text.strip()
    if _of(ctx, said, 0) is None:
        if ctx.intent == "no":
            return ctx.say("payout.not_confirmed")
        if _asks_else(ctx):
            return ctx.afresh()
    return _begin(ctx, said)


@router.on(InState(CONSENT))
def consent_said(ctx: Context) -> Answer:
    """Only the very words count: consent is never guessed."""
    if ctx.message.text.strip() not in _words(ctx, "payout.agree_words"):
        return ctx.afresh() if _asks_else(ctx) else ctx.say("payout.no_consent")
    payouts.agree(ctx.session, ctx.speaker.id, _consent_version(ctx), _consent_digest(ctx), ctx.now)
    return _next(ctx, queries.offer(ctx.session, ctx.speaker.id, ctx.now), ctx.place.memory["gross_fen"])


@router.on(InState(NAME))
def name_said(ctx: Context) -> Answer:
    """A second 同意 is no name, and neither is a sentence; a name may sound like a word of ours (于娥)."""
    said = ctx.message.text.strip()
    if ctx.intent == "no":
        return ctx.say("payout.not_confirmed")
    if ctx.asks_else and len(said) > LONG_NAME:
        return ctx.afresh()
    if ctx.intent == "yes" or ctx.confirm or re.search(ctx.copy.render("payout.no_name"), said):
        return ctx.ask("payout.wrong.vault.real_name", NAME, ctx.place.memory)
    return _sealed(ctx, "real_name", NAME)


@router.on(InState(ID_NUMBER))
def id_number_said(ctx: Context) -> Answer:
    return _sealed(ctx, "id_number", ID_NUMBER)


@router.on(InState(CONFIRM))
def confirmed(ctx: Context) -> Answer:
    """The one moment at which money is held: at the very word, not at anything like it. If the figures have changed
    meanwhile, they are shown again."""
    if ctx.message.text.strip() not in _words(ctx, "payout.confirm_words"):
        return _not_confirmed(ctx)
    gross_fen, tax_fen = ctx.place.memory["gross_fen"], ctx.place.memory["tax_fen"]
    offer = queries.offer(ctx.session, ctx.speaker.id, ctx.now)
    account = _account(ctx)
    if offer.refusal or not account or gross_fen > offer.available_fen:
        return _begin(ctx, "")
    if queries.quote(ctx.session, ctx.speaker.id, gross_fen, ctx.now).tax_fen != tax_fen:
        return _next(ctx, offer, gross_fen)
    remark = ctx.copy.render("payout.remark", shop=ctx.shop.name)
    request = Request(ctx.speaker.id, gross_fen, account, ctx.shop.app_id, ctx.message.sender, remark)
    try:
        asked = withdrawing.ask(ctx.session, request, ctx.now)
    except DomainError as refusal:
        return _refused(ctx, refusal)
    return ctx.say("payout.asked", found=queries.by_id(ctx.session, asked))


@router.on(PictureAt(AMOUNT))
@router.on(PictureAt(CONSENT))
@router.on(PictureAt(NAME))
@router.on(PictureAt(ID_NUMBER))
@router.on(PictureAt(CONFIRM))
@router.on(PictureAt(TAKE_BACK))
def no_pictures(ctx: Context) -> Answer:
    """Somebody sends their ID card instead of typing: the question stands, and nobody is invited to show it around."""
    here = next(state for state in ASKED if str(state) == ctx.place.state)
    return ctx.ask("payout.no_pictures", here, dict(ctx.place.memory))


@router.on(BrokenOff(TAKE_BACK))
def not_taken_back(ctx: Context) -> Answer:
    """取消 is no yes to 取消提现: it is the question that is over, and the request goes on."""
    return ctx.say("payout.not_cancelled")


@router.on(InState(TAKE_BACK))
def taken_back(ctx: Context) -> Answer:
    """At the very word the request that was shown is taken back, and no other; whoever asks again is asked again."""
    if ctx.intent == "withdraw.cancel":
        return cancel(ctx)
    if ctx.message.text.strip() not in _words(ctx, "payout.cancel_words"):
        return ctx.afresh() if _asks_else(ctx) else ctx.say("payout.not_cancelled")
    found = queries.open_of(ctx.session, ctx.speaker.id)
    if found is None or found.id != ctx.place.memory["id"]:
        return ctx.say("payout.refused.none_open")
    try:
        state = withdrawing.cancel(ctx.session, ctx.speaker.id, ctx.now)
    except DomainError as refusal:
        return _refused(ctx, refusal)
    if state != "cancelled":
        return ctx.say("payout.cancelling")
    return ctx.say("payout.cancelled", repaid_fen=queries.repaid(ctx.session, found.id))


@router.on(Intent("wallet.withdraw"))
def start(ctx: Context) -> Answer:
    """How much may be said with it, and 都提 says it alone."""
    said = ctx.message.text.strip()
    return _begin(ctx, ctx.argument or (said if said in _words(ctx, "payout.all_words") else ""))


@router.on(Intent("withdraw.progress"))
def show_progress(ctx: Context) -> Answer:
    found = queries.latest_of(ctx.session, ctx.speaker.id)
    return _progress(ctx, found) if found else ctx.say("payout.none_yet")


@router.on(Intent("withdraw.how"))
def explain(ctx: Context) -> Answer:
    """The way of the money as it is configured. No time is promised that nobody has set."""
    if not _account(ctx):
        return ctx.say("payout.refused.no_account")
    plan = commissions.live_plan(ctx.session, ctx.now)
    return ctx.say("payout.how", plan=plan, going=queries.open_of(ctx.session, ctx.speaker.id))


@router.on(Intent("withdraw.cancel"))
def cancel(ctx: Context) -> Answer:
    """Which request, and what would come back; nothing happens before 确认."""
    found = queries.open_of(ctx.session, ctx.speaker.id)
    if found is None:
        return ctx.say("payout.refused.none_open")
    if found.cancelling:
        return _progress(ctx, found)
    return ctx.ask("payout.cancel", TAKE_BACK, {"id": found.id}, found=found)


def _not_confirmed(ctx: Context) -> Answer:
    """Nothing is held. Another sum is shown in its turn, another name is asked for, another wish is answered."""
    said = ctx.message.text.strip()
    if said in _words(ctx, "payout.rename_words"):
        return ctx.ask("payout.name", NAME, {"gross_fen": ctx.place.memory["gross_fen"]})
    if fen_of(normalize("NFKC", said)) is not None:
        return _begin(ctx, said)
    return ctx.afresh() if _asks_else(ctx) or ctx.argument else ctx.say("payout.not_confirmed")


def _asks_else(ctx: Context) -> bool:
    """Another wish than to take money out, which is what is being talked about."""
    return ctx.asks_else and ctx.intent != "wallet.withdraw"


def _begin(ctx: Context, said: str) -> Answer:
    """Why not, how much, or what is still missing before it can be confirmed."""
    offer = queries.offer(ctx.session, ctx.speaker.id, ctx.now)
    if offer.open is not None:
        return _progress(ctx, offer.open)
    if offer.refusal:
        return _says_no(ctx, offer.refusal, offer)
    if not _account(ctx):
        return ctx.say("payout.refused.no_account")
    if withdrawing.word_of_caution(ctx.session, ctx.speaker.id, ctx.now) == withdrawing.FROZEN:
        return ctx.say("payout.refused.frozen")
    if not said:
        return ctx.ask("payout.how_much", AMOUNT, offer=offer)
    gross_fen = _of(ctx, said, offer.available_fen)
    if gross_fen is None:
        return ctx.ask("payout.what_amount", AMOUNT, offer=offer)
    if gross_fen < offer.min_fen or gross_fen > offer.available_fen:
        return ctx.ask("payout.amount_outside", AMOUNT, offer=offer, gross_fen=gross_fen)
    return _next(ctx, offer, gross_fen)


def _next(ctx: Context, offer: Offer, gross_fen: int) -> Answer:
    """The first question that is still open; the figures when none is."""
    memory = {"gross_fen": gross_fen}
    if offer.consent_version != _consent_version(ctx):
        return ctx.ask("payout.consent", CONSENT, memory, shop=ctx.shop.name)
    if "real_name" not in offer.held:
        return ctx.ask("payout.name", NAME, memory)
    if gross_fen > offer.id_number_above_fen and "id_number" not in offer.held:
        return ctx.ask("payout.id_number", ID_NUMBER, memory, above_fen=offer.id_number_above_fen)
    quote = queries.quote(ctx.session, ctx.speaker.id, gross_fen, ctx.now)
    return ctx.ask("payout.confirm", CONFIRM, memory | {"tax_fen": quote.tax_fen}, quote=quote,
                   name=offer.held["real_name"])


def _sealed(ctx: Context, kind: Field, place: State) -> Answer:
    """Seal what was typed and go on; what cannot be one is asked for again, with what is wrong about it."""
    try:
        vault.keep(ctx.session, ctx.tool(Vault), ctx.speaker.id, kind, ctx.message.text, ctx.now)
    except DomainError as refusal:
        return ctx.ask(f"payout.wrong.{refusal.code}", place, ctx.place.memory)
    return _next(ctx, queries.offer(ctx.session, ctx.speaker.id, ctx.now), ctx.place.memory["gross_fen"])


def _refused(ctx: Context, refusal: DomainError) -> Answer:
    """A rule said no at the last moment; the figures of the offer say what it was about."""
    code = refusal.code.removeprefix("payout.")
    key = f"payout.refused.{code}"
    offer = queries.offer(ctx.session, ctx.speaker.id, ctx.now)
    if code == "open" and offer.open is not None:
        return _progress(ctx, offer.open)
    if not ctx.copy.has(key):
        return ctx.say("payout.refused.other")
    return _says_no(ctx, code, offer) if code in ("debt", "nothing", "too_little") else ctx.say(key)


def _says_no(ctx: Context, code: str, offer: Offer) -> Answer:
    """Who has too little is told what of it needs no minimum."""
    if code != "too_little":
        return ctx.say(f"payout.refused.{code}", offer=offer)
    gifts_fen = giving.waiting(ctx.session, ctx.speaker.id, ctx.tool(PayGateways).gift_doors(), ctx.tool(PacketRules))
    return ctx.say("payout.refused.too_little", offer=offer, gifts_fen=gifts_fen)


def _progress(ctx: Context, found: WithdrawalView) -> Answer:
    frozen = ledger.frozen(ctx.session, ctx.speaker.id)
    # Whoever is frozen is asked for no tap: what waits for one is called back in this moment.
    recalled = found.cancelling or (frozen and found.waiting_fen > 0)
    waits = found.waiting_fen and not recalled
    page = ctx.tool(Links).to("withdrawals", ctx.speaker.id, str(found.id)) if waits else ""
    cause = found.reason or ("frozen" if recalled and frozen else "")
    key = f"payout.cause.{cause}"
    reason = ctx.copy.render(key) if ctx.copy.has(key) else cause
    repaid = queries.repaid(ctx.session, found.id) if found.ended_at else 0
    return ctx.say("payout.progress", found=found, page=page, reason=reason, frozen=frozen, recalled=recalled,
                   repaid_fen=repaid)


def _of(ctx: Context, said: str, available_fen: int) -> int | None:
    """The sum that was said: all of what is available, a share of it to the fen below, or an amount. It is shown before
    anything happens to it."""
    if undressed(said) in _words(ctx, "payout.all_words"):
        return available_fen
    part = share(said)
    return available_fen * part[0] // part[1] if part else _fen(said)


def _fen(said: str) -> int | None:
    """An amount as people write it; a sign in front of it is nothing to guess about."""
    folded = normalize("NFKC", said)
    if folded[:1] in ("-", "+") or any(letter in ascii_letters for letter in folded):
        return None
    return fen_of(folded) or find_fen(folded)


def _account(ctx: Context) -> str:
    """The merchant account that pays the followers of this Official Account; '' when the shop has none."""
    gateway = ctx.tool(PayGateways).paying(ctx.shop.app_id)
    return gateway.account if gateway else ""


def _consent_version(ctx: Context) -> str:
    return ctx.copy.render("payout.consent_version")


def _consent_digest(ctx: Context) -> str:
    return sha256(ctx.copy.render("payout.consent", shop=ctx.shop.name).encode()).hexdigest()


def _words(ctx: Context, key: str) -> list[str]:
    return ctx.copy.render(key).split()
