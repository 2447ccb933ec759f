"""``/me/<page>?t=…``: pages for customers, opened from chat by a signed personal link. No script, one style sheet.

To add a page ``/me/wallet`` (and ``/me/wallet/<part>``, if it has parts):

1. ``handlers/web/h5/wallet.py``::

       def show(visit: Visit) -> Content:
           return {"wallet": ledger.wallet(visit.session, visit.person.id)}

       PAGE = Page("wallet", show)

2. ``assets/templates/h5/wallet.html``: ``{% extends "h5/base.html" %}{% block main %}…{% endblock %}``. It sees what
   ``show`` gave, ``say("h5.wallet.lead", …)`` for texts, ``link("rules")`` for another page of the same person, and the
   filters of the voice (``yuan``, ``percent``, ``day`` …). Classes to use are listed at the top of h5.css.
3. ``assets/copy/h5_wallet.toml`` with at least ``h5.wallet.title``; and PAGE in PAGES below.

In chat: ``ctx.tool(Links).to("wallet", ctx.speaker.id)``.

``visit.tool(Titles)`` lends what the process holds. ``show`` may also return a File (a download), raise NotThere (404),
and, for a form, ask ``visit.form`` after setting ``Page(…, posts=True)``: the token travels in the form's hidden field
``t``, so no other site can send it. A page reads in a read-only transaction unless it was posted to.
"""

from handlers.web.h5 import draw, mall, progress, reminders, rules, statements, withdrawals
from handlers.web.h5.door import blueprint, lost
from handlers.web.h5.pages import Content, File, NotThere, Page, Visit

__all__ = ["PAGES", "Content", "File", "NotThere", "Page", "Visit", "blueprint", "lost"]

PAGES: tuple[Page, ...] = (
    draw.PAGE, mall.PAGE, progress.PAGE, reminders.PAGE, rules.PAGE, statements.PAGE, withdrawals.PAGE,
)
