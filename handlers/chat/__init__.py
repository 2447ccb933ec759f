"""Conversations, one topic a file. Order matters: the first match answers, so the fallback hangs last."""

from bot.kit.router import Router
from handlers.chat import fallback, notices, people, posters, risk, rules, wallet
from handlers.events import arrivals

TREE = Router("chat")
TREE.include(arrivals.router, posters.router, wallet.router, rules.router, people.router, risk.router,
             notices.router, fallback.router)
