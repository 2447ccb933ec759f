"""django-hordak booking the same two commissions an order, as a bench.client.

Database and server come from BENCH_DATABASE and BENCH_SOCKETS. ``documented`` books leg by leg, as hordak's
documentation does; ``bulk`` the four legs of an order by ``bulk_create``, one order a transaction; ``many`` all orders
of a batch in one transaction. No key against booking twice, no guarded balance: less than ours does.
"""

import os
from collections.abc import Callable
from decimal import Decimal

import django
from django.conf import settings

PEOPLE = 200

settings.configure(
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["BENCH_DATABASE"], "USER": "postgres",
        "HOST": os.environ["BENCH_SOCKETS"], "CONN_MAX_AGE": None}},
    INSTALLED_APPS=["django.contrib.contenttypes", "mptt", "hordak"], USE_TZ=True, DEFAULT_CURRENCY="CNY",
    HORDAK_INTERNAL_CURRENCY="CNY", CURRENCIES=["CNY"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.core.management import call_command  # noqa: E402 - only now are there settings
from django.db import transaction  # noqa: E402
from hordak.models import Account, AccountType, Leg, Transaction  # noqa: E402
from moneyed import Money  # noqa: E402

from bench.client import Work  # noqa: E402

DIRECT, SECOND = Money(Decimal("7.92"), "CNY"), Money(Decimal("1.98"), "CNY")


class Books:
    """The accounts: two kinds of expense, and what the shop owes each of some people."""

    def __init__(self) -> None:
        call_command("migrate", verbosity=0)
        self.expenses = [_account(name, AccountType.expense) for name in ("direct", "level2")]
        self.people = [_account(f"p{n}", AccountType.liability) for n in range(PEOPLE)]

    def book_one(self, number: int) -> None:
        with transaction.atomic():
            booked = Transaction.objects.create(description=f"order {number}")
            for leg in self.legs(number, booked):
                leg.save()

    def book_bulk(self, number: int) -> None:
        with transaction.atomic():
            Leg.objects.bulk_create(self.legs(number, Transaction.objects.create(description=f"order {number}")))

    def book_many(self, first: int, count: int) -> None:
        with transaction.atomic():
            booked = Transaction.objects.bulk_create(
                [Transaction(description=f"order {n}") for n in range(first, first + count)])
            Leg.objects.bulk_create([leg for n, one in enumerate(booked, first) for leg in self.legs(n, one)])

    def legs(self, number: int, booked: Transaction) -> list[Leg]:
        near, far = self.people[number * 7 % PEOPLE], self.people[number * 11 % PEOPLE]
        return [
            Leg(transaction=booked, account=self.expenses[0], debit=DIRECT),
            Leg(transaction=booked, account=near, credit=DIRECT),
            Leg(transaction=booked, account=self.expenses[1], debit=SECOND),
            Leg(transaction=booked, account=far, credit=SECOND),
        ]


def _account(name: str, kind: str) -> Account:
    return Account.objects.get_or_create(name=name, defaults={"type": kind, "currencies": ["CNY"]})[0]


def client(_url: str) -> dict[str, Work]:
    """The ways of one client; the first to start makes the tables and the accounts."""
    books = Books()

    def documented(_batch: int, first: int, more: Callable[[], bool]) -> int:
        return _one_by_one(books.book_one, first, more)

    def bulk(_batch: int, first: int, more: Callable[[], bool]) -> int:
        return _one_by_one(books.book_bulk, first, more)

    def many(batch: int, first: int, more: Callable[[], bool]) -> int:
        start = first
        while more():
            books.book_many(first, batch)
            first += batch
        return first - start

    return {"documented": documented, "bulk": bulk, "many": many}


def _one_by_one(book: Callable[[int], None], first: int, more: Callable[[], bool]) -> int:
    start = first
    while more():
        book(first)
        first += 1
    return first - start
