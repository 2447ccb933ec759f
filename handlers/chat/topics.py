"""话题 [想说的话]: what the shop wants to talk about, what others said that was picked, and one's own word;
撤回话题 takes the latter back."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent, PictureAt
from bot.kit.router import Router
from domain.topics import queries, service
from domain.topics.queries import TopicView
from domain.topics.rules import TopicRules, short

router = Router(__name__)

SAY = State("topic", "say")
LINE = 60
"""Characters of a picked word in the answer: those of a whole answer fit one message."""
OWN = 40


@router.on(Intent("topic.show"))
def show(ctx: Context) -> Answer:
    """The topic of now, or how the last one ended; with words behind it, a word to the topic of now."""
    topic = queries.current(ctx.session, ctx.now)
    if topic is None:
        last = queries.latest(ctx.session)
        picked = _picked(ctx, last) if last else []
        return ctx.say("topic.last", title=last.title, people=last.people, words=picked) if last and picked else (
            ctx.say("topic.none"))
    if ctx.argument.strip():
        return _say(ctx, topic.id, ctx.argument)
    return _ask(ctx, topic)


@router.on(Intent("topic.take_back"))
def take_back(ctx: Context) -> Answer:
    """The newest of one's own words that still stands, shown or not."""
    done = service.take_back(ctx.session, ctx.speaker.id, ctx.now)
    if done is None:
        return ctx.say("topic.nothing_to_take_back")
    return ctx.say("topic.taken_back", title=done.title, words=short(done.words, OWN))


def _ask(ctx: Context, topic: TopicView) -> Answer:
    mine = queries.own(ctx.session, topic.id, ctx.speaker.id)
    stands = mine is not None and mine.words != service.ERASED
    return ctx.ask("topic.show", SAY, {"topic": topic.id}, title=topic.title, intro=topic.intro, people=topic.people,
                   words=_picked(ctx, topic), mine=short(mine.words, OWN) if mine and stands else "",
                   state=mine.state if mine else "", points=0 if mine and mine.thanked_at else topic.points,
                   longest=ctx.tool(TopicRules).longest, ends=topic.ends_at)


@router.on(InState(SAY), Intent("no"))
def never_mind(ctx: Context) -> Answer:
    return ctx.say("topic.another_time")


@router.on(InState(SAY))
def said(ctx: Context) -> Answer:
    """A bare 撤回 is about what they said before; without such a word the question stands."""
    if ctx.message.text.strip(" 。！!～~.，") in ctx.copy.render("topic.take_back_words").split():
        return take_back(ctx)
    return _say(ctx, ctx.place.memory["topic"], ctx.message.text)


@router.on(PictureAt(SAY))
def no_pictures(ctx: Context) -> Answer:
    return ctx.ask("topic.words_please", SAY, dict(ctx.place.memory))


def _say(ctx: Context, topic_id: int, words: str) -> Answer:
    rules = ctx.tool(TopicRules)
    done = service.say(ctx.session, topic_id, ctx.speaker.id, words, rules, ctx.now)
    match done.what:
        case "too_short":
            return ctx.ask("topic.too_short", SAY, {"topic": topic_id}, shortest=rules.shortest)
        case "too_long":
            return ctx.ask("topic.too_long", SAY, {"topic": topic_id}, length=done.length, longest=rules.longest)
        case "number":
            return ctx.ask("topic.number", SAY, {"topic": topic_id})
        case "said":
            mine = queries.own(ctx.session, topic_id, ctx.speaker.id)
            points = 0 if mine and mine.thanked_at else queries.one(ctx.session, topic_id).points
            return ctx.say("topic.said", name=ctx.speaker.nickname, points=points)
        case _:
            return ctx.say(f"topic.{done.what}")


def _picked(ctx: Context, topic: TopicView) -> list[dict[str, str]]:
    found = queries.shown(ctx.session, topic.id, ctx.tool(TopicRules).shown)
    return [{"name": one.nickname, "words": short(one.words, LINE)} for one in found]
