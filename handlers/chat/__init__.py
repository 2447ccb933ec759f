"""Conversations, one topic a file. Order matters: the first match answers, so the fallback hangs last."""

from bot.kit.router import Router
from handlers.chat import fallback, notices, people, posters, risk, roles, rules, wallet, withdrawals
from handlers.events import arrivals

TREE = Router("chat")
# Withdrawals first: an answer about a name must not be taken for a word that happens to stand in it.
TREE.include(arrivals.router, withdrawals.router, posters.router, wallet.router, rules.router, people.router,
             risk.router, roles.router, notices.router, fallback.router)
