"""What comes from WeCom: customers who add or leave an employee, and employees who write to the application."""

from bot.kit.router import Router
from handlers.events import contacts
from handlers.staff import words

STAFF = Router("staff")
STAFF.include(
    contacts.router,
    words.router,  # last: it answers whatever employees write
)
