"""问答: the question of the day, a number as the answer, and why."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.router import Router
from domain.points.rules import PointRules
from domain.workflows import quiz
from domain.workflows.quiz import Quiz

router = Router(__name__)

CHOOSE = State("quiz", "choose")


@router.on(Intent("quiz.show"))
def ask(ctx: Context) -> Answer:
    """Once a day; whoever answered hears when the next one comes."""
    rules = ctx.tool(Quiz)
    question = rules.of(ctx.now)
    if question is None:
        return ctx.say("quiz.none")
    if quiz.answered_today(ctx.session, ctx.speaker.id, ctx.now):
        return ctx.say("quiz.answered_before")
    remember = {"ask": question.ask}
    return ctx.ask("quiz.ask", CHOOSE, remember, question=question.ask, choices=question.choices, points=rules.points)


@router.on(InState(CHOOSE))
def chosen(ctx: Context) -> Answer:
    """A number is an answer to the question that was asked, and what means nothing is no answer yet; anything else is
    heard afresh."""
    rules, said = ctx.tool(Quiz), ctx.message.text.strip()
    question = next((one for one in rules.question if one.ask == ctx.place.memory["ask"]), None)
    if question is None or ctx.intent or ctx.candidates:
        return ctx.afresh()
    if not (said.isdecimal() and len(said) == 1 and 1 <= int(said) <= len(question.choices)):
        return ctx.ask("quiz.a_number", CHOOSE, ctx.place.memory)
    done = quiz.answer(ctx.session, ctx.speaker.id, rules, question, int(said), ctx.tool(PointRules).life, ctx.now)
    if not done.first:
        return ctx.say("quiz.answered_before")
    facts = {"because": question.because, "answer": question.choices[question.right - 1]}
    return ctx.say("quiz.right", points=done.points, **facts) if done.right else ctx.say("quiz.wrong", **facts)
