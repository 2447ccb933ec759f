"""Conversations, one topic a file. Order matters: the first match answers, so the fallback hangs last."""

from bot.kit.router import Router
from handlers.chat import (
    draws,
    fallback,
    feedback,
    helpdesk,
    leaving,
    mall,
    membership,
    notices,
    packets,
    people,
    points,
    posters,
    progress,
    quiz,
    risk,
    roles,
    rules,
    shares,
    smalltalk,
    suggestions,
    topics,
    wallet,
    why,
    withdrawals,
)
from handlers.events import arrivals, subscriptions

TREE = Router("chat")
TREE.include(
    arrivals.router,
    subscriptions.router,
    withdrawals.router,  # early: an answer about a name must not be taken for a word that happens to stand in it
    risk.router,  # so are these: 佣金 in an appeal or in feedback asks for no balance
    feedback.router,
    topics.router,
    helpdesk.router,
    posters.router,
    wallet.router,
    packets.router,
    why.router,
    rules.router,
    people.router,
    leaving.router,
    points.router,
    progress.router,
    membership.router,
    draws.router,
    mall.router,
    suggestions.router,
    shares.router,
    quiz.router,
    roles.router,
    notices.router,
    helpdesk.overheard,
    smalltalk.router,
    fallback.router,
)
