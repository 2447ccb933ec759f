"""投稿: a customer's own picture of what they bought, what they say about it, and what the shop may do with it.

Several pictures sent in a row are talked about together. Nothing is fetched while somebody waits for an answer.
"""

from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import BrokenOff, InState, Intent, Kind, PictureAt
from bot.kit.router import Router
from domain.catalog import queries as catalog
from domain.orders import queries as orders
from domain.shared.numerals import choice
from domain.shots import queries, service
from domain.shots.rules import ShotRules

router = Router(__name__)
overheard = Router(f"{__name__}.overheard")
"""A picture that nobody asked for: hangs right before the fallback."""

WHAT = State("shots", "what")
SHOWN = State("shots", "shown")
"""After 晒单: a picture that follows is one to send in; words are what they are."""
OFFERED = State("shots", "offered")
PRODUCT = State("shots", "product")
WORDS = State("shots", "words")
CONSENT = State("shots", "consent")
REVOKE = State("shots", "revoke")

PRODUCTS = 5
"""Of what somebody bought, offered to choose from."""
OPTIONS = ("named", "anonymous", "no")

Memory = dict[str, Any]


@router.on(BrokenOff(PRODUCT))
@router.on(BrokenOff(WORDS))
@router.on(BrokenOff(CONSENT))
def broken_off(ctx: Context) -> Answer:
    """As much a no as the word itself: nobody knows of a picture that stays behind."""
    gone = service.cancel(ctx.session, ctx.place.memory["numbers"], ctx.speaker.id, ctx.now)
    return ctx.say("shots.refused" if gone else "chat.cancelled")


@router.on(Intent("shots.send"))
def send_in(ctx: Context) -> Answer:
    """With words at once or without; with the picture that came just before, or asked for it."""
    memory: Memory = {"words": ctx.argument.strip()}
    long = _too_long(ctx, memory["words"])
    if ctx.place.state == str(OFFERED):  # words that are too long are asked for again, now that there is a picture
        return _take(ctx, {} if long else memory, ctx.place.memory["media_id"])
    if long:
        return _shorter(ctx, WHAT, {}, memory["words"])
    return ctx.ask("shots.what", WHAT, memory, points=ctx.tool(ShotRules).points)


@router.on(PictureAt(WHAT))
@router.on(PictureAt(SHOWN))
def picture(ctx: Context) -> Answer:
    return _take(ctx, ctx.place.memory, ctx.message.data["media_id"])


@router.on(InState(WHAT), Intent("no"))
def never_mind(ctx: Context) -> Answer:
    return ctx.say("chat.cancelled")


@router.on(InState(WHAT))
def words_first(ctx: Context) -> Answer:
    """Words before a picture are kept with it."""
    said = ctx.message.text.strip()
    if _too_long(ctx, said):
        return _shorter(ctx, WHAT, ctx.place.memory, said)
    return ctx.ask("shots.picture_please", WHAT, {**ctx.place.memory, "words": said})


@router.on(PictureAt(PRODUCT))
@router.on(PictureAt(WORDS))
@router.on(PictureAt(CONSENT))
def one_more(ctx: Context) -> Answer:
    """Another one of the same lot; the question that was asked stands."""
    place, memory = ctx.place.state, ctx.place.memory
    begun = service.begin(ctx.session, ctx.speaker.id, ctx.message.account, ctx.message.data["media_id"],
                          ctx.tool(ShotRules), ctx.now)
    here = next(state for state in (PRODUCT, WORDS, CONSENT) if str(state) == place)
    if begun.what != "begun":
        return ctx.ask("shots.no_more", here, memory)
    numbers = [*memory["numbers"], begun.number]
    service.about(ctx.session, [begun.number], ctx.speaker.id, memory.get("sku", ""))
    service.say(ctx.session, [begun.number], ctx.speaker.id, memory.get("words", ""), ctx.tool(ShotRules))
    return ctx.ask("shots.one_more", here, {**memory, "numbers": numbers}, count=len(numbers))


@router.on(InState(PRODUCT))
def which_product(ctx: Context) -> Answer:
    """A number of the list, the name of a product, or none of ours."""
    memory, said = ctx.place.memory, ctx.message.text.strip()
    number = choice(said)
    if ctx.intent == "no" or number == 0 or number == len(memory["skus"]) + 1:
        return _about(ctx, memory, "")
    if number is not None and 1 <= number <= len(memory["skus"]):
        return _about(ctx, memory, memory["skus"][number - 1])
    found = catalog.search(ctx.session, said, 2) if number is None else []
    if len(found) == 1:
        return _about(ctx, memory, found[0].sku)
    return ctx.ask("shots.which_again", PRODUCT, memory, count=len(memory["skus"]))


@router.on(InState(WORDS))
def about_it(ctx: Context) -> Answer:
    skipped = ctx.intent == "no" or ctx.message.text.strip() in ctx.copy.render("shots.skip_words").split()
    words = "" if skipped else ctx.message.text.strip()
    if _too_long(ctx, words):
        return _shorter(ctx, WORDS, ctx.place.memory, words)
    service.say(ctx.session, ctx.place.memory["numbers"], ctx.speaker.id, words, ctx.tool(ShotRules))
    return _ask_consent(ctx, {**ctx.place.memory, "words": words})


@router.on(InState(CONSENT))
def answered(ctx: Context) -> Answer:
    """Only a clear word counts: a bare yes does not say whether the name may be shown."""
    memory = ctx.place.memory
    how = _how(ctx, memory["options"])
    if not how:
        return _ask_consent(ctx, memory, again=True)
    marks = ctx.copy.render("shots.your_name"), ctx.copy.render("shots.your_words") if memory["words"] else ""
    numbers, wording = memory["numbers"], _consent(ctx, memory, *marks)
    if how == "no":
        service.refuse(ctx.session, numbers, ctx.speaker.id, wording, ctx.now)
        return ctx.say("shots.refused")
    allowed = service.allow(ctx.session, numbers, ctx.speaker.id, how, wording, ctx.now)  # type: ignore[arg-type]
    if not allowed:
        return ctx.say("shots.nothing_left")
    return ctx.say("shots.allowed", numbers=allowed, name=ctx.speaker.nickname if how == "named" else "",
                   points=ctx.tool(ShotRules).points)


@router.on(Intent("shots.mine"))
def mine(ctx: Context) -> Answer:
    """What is open, and the newest refusal of the last month with its reason."""
    declined = [one for one in queries.listed(ctx.session, "declined", ctx.speaker.id, 1)
                if one.ended_at and one.ended_at > ctx.now - service.ANSWER_LIFE]
    return ctx.say("shots.mine", shots=[_line(ctx, one) for one in queries.open_of(ctx.session, ctx.speaker.id)],
                   declined=declined[0].id if declined else 0, because=_because(ctx, declined[0]) if declined else "")


@router.on(Intent("shots.revoke"))
def take_back(ctx: Context) -> Answer:
    """By number; the only one by the very words that were promised to do it, or after a yes; else all are listed, and a
    number or 全部 is asked for."""
    found = queries.open_of(ctx.session, ctx.speaker.id)
    if not found:
        return ctx.say("shots.none_to_revoke")
    if ctx.argument:
        return _revoke(ctx, [one.id for one in found], ctx.argument)
    if len(found) == 1 and ctx.message.text.strip(" 。！!～~.，") == ctx.copy.render("shots.revoke_words"):
        return _revoked(ctx, [found[0].id])
    if len(found) == 1:
        return ctx.ask("shots.sure_to_revoke", REVOKE, {"numbers": [found[0].id]}, one=_line(ctx, found[0]))
    return ctx.ask("shots.which_to_revoke", REVOKE, {"numbers": [one.id for one in found]},
                   shots=[_line(ctx, one) for one in found])


@router.on(InState(REVOKE), Intent("no"))
def keep_them(ctx: Context) -> Answer:
    return ctx.say("chat.cancelled")


@router.on(InState(REVOKE))
def which_to_take_back(ctx: Context) -> Answer:
    numbers = ctx.place.memory["numbers"]
    if ctx.intent == "yes" and len(numbers) == 1:
        return _revoked(ctx, numbers)
    return _revoke(ctx, numbers, ctx.message.text)


@overheard.on(Kind("image"))
def out_of_the_blue(ctx: Context) -> Answer:
    """Thanked for; 投稿 said next sends it in."""
    return ctx.ask("chat.image_received", OFFERED, {"media_id": ctx.message.data["media_id"]})


def _take(ctx: Context, memory: Memory, media_id: str) -> Answer:
    """The first picture of a lot. Of what they bought last only one thing can be meant, or they are asked."""
    rules = ctx.tool(ShotRules)
    begun = service.begin(ctx.session, ctx.speaker.id, ctx.message.account, media_id, rules, ctx.now)
    if begun.what != "begun":
        return _not_taken(ctx, begun)
    kept: Memory = {"numbers": [begun.number], "words": memory.get("words", "")}
    if kept["words"]:
        service.say(ctx.session, kept["numbers"], ctx.speaker.id, kept["words"], rules)
    bought = orders.recent_products(ctx.session, ctx.speaker.id, PRODUCTS)
    if len(bought) > 1:
        return ctx.ask("shots.which", PRODUCT, {**kept, "skus": [sku for sku, _ in bought]},
                       titles=[title for _, title in bought])
    return _about(ctx, kept, bought[0][0] if bought else "")


def _too_long(ctx: Context, words: str) -> bool:
    return len(" ".join(words.split())) > ctx.tool(ShotRules).longest


def _shorter(ctx: Context, state: State, memory: Memory, words: str) -> Answer:
    return ctx.ask("shots.words_long", state, memory, length=len(" ".join(words.split())),
                   longest=ctx.tool(ShotRules).longest)


def _not_taken(ctx: Context, begun: service.Begun) -> Answer:
    rules = ctx.tool(ShotRules)
    if begun.what == "leaving":
        return ctx.say("shots.leaving")
    return ctx.say(f"shots.{begun.what}", most=rules.per_day if begun.what == "too_many" else rules.kept)


def _about(ctx: Context, memory: Memory, sku: str) -> Answer:
    if not queries.drafts(ctx.session, memory["numbers"], ctx.speaker.id):
        return ctx.say("shots.nothing_left")
    service.about(ctx.session, memory["numbers"], ctx.speaker.id, sku)
    product = catalog.product(ctx.session, sku) if sku else None
    memory = {"numbers": memory["numbers"], "words": memory["words"], "sku": sku,
              "title": product.title if product else ""}
    return _ask_consent(ctx, memory) if memory["words"] else ctx.ask("shots.words", WORDS, memory,
                                                                     title=memory["title"])


def _ask_consent(ctx: Context, memory: Memory, *, again: bool = False) -> Answer:
    """Whoever has no name with us cannot be shown with one. Nothing is asked about pictures that were refused."""
    left = queries.drafts(ctx.session, memory["numbers"], ctx.speaker.id)
    if not left:
        return ctx.say("shots.nothing_left")
    options = list(OPTIONS if ctx.speaker.nickname else OPTIONS[1:])
    memory = {**memory, "numbers": left, "options": options}
    asked = _consent(ctx, memory, ctx.speaker.nickname, ctx.tool(ShotRules).cut(memory["words"]))
    return ctx.ask("shots.consent_again" if again else "shots.consent_asked", CONSENT, memory, asked=asked)


def _consent(ctx: Context, memory: Memory, name: str, words: str) -> str:
    """What they agree to. It is kept with marks in place of ``name`` and ``words``: the record outlives who it is
    about."""
    return ctx.copy.render("shots.consent", count=len(memory["numbers"]), title=memory.get("title", ""),
                           options=memory["options"], name=name, shop=ctx.shop.name, words=words)


def _how(ctx: Context, options: list[str]) -> str:
    """One of ``options`` by its number or in words, '' for neither."""
    said = ctx.message.text.strip(" 。！!～~.，")
    number = choice(said)
    if number is not None:
        return options[number - 1] if 1 <= number <= len(options) else ""
    named = next((one for one in options if said in ctx.copy.render(f"shots.{one}_words").split()), "")
    return named or ("no" if ctx.intent == "no" else "")


def _revoke(ctx: Context, numbers: list[int], said: str) -> Answer:
    plain = said.strip(" 。！!～~.，")
    if plain in ctx.copy.render("shots.all_words").split():
        return _revoked(ctx, numbers)
    number = choice(plain.lstrip("#"))
    if number is None and plain.isascii() and plain.isdigit() and len(plain) < 19:
        number = int(plain)
    if number not in numbers:
        return ctx.ask("shots.no_such", REVOKE, {"numbers": numbers}, numbers=numbers)
    return _revoked(ctx, [number])


def _revoked(ctx: Context, numbers: list[int]) -> Answer:
    wording = ctx.copy.render("shots.revoke_wording", said=ctx.message.text.strip() or ctx.message.event)
    gone = service.revoke(ctx.session, numbers, ctx.speaker.id, wording, ctx.now)
    return ctx.say("shots.revoked", numbers=gone)


def _because(ctx: Context, one: queries.ShotView) -> str:
    """Why it was refused, with what was added for its author; "other" is what was added."""
    key = f"shots.because.{one.why}"
    return (ctx.copy.render(key) if ctx.copy.has(key) else "") + one.said


def _line(ctx: Context, one: queries.ShotView) -> dict[str, object]:
    return {"number": one.id, "title": one.title, "state": one.state, "named": one.consent == "named",
            "given": one.given, "sent_at": one.sent_at}
