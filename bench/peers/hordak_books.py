"""django-hordak booking the same two commissions an order, driven line by line.

Database and server come from BENCH_DATABASE and BENCH_SOCKETS. Each line read says ``CLIENTS BATCH SECONDS``, the
answer is the orders booked a second. One order is one transaction of four legs, as hordak's documentation books it (a
batch of more: ``bulk_create``). No key against booking twice, no guarded balance: less than ours does.
"""

import os
import sys
import threading
import time
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
from django.db import connection, transaction  # noqa: E402
from hordak.models import Account, AccountType, Leg, Transaction  # noqa: E402
from moneyed import Money  # noqa: E402

DIRECT, SECOND = Money(Decimal("7.92"), "CNY"), Money(Decimal("1.98"), "CNY")


class Books:
    """The accounts: two kinds of expense, and what the shop owes each of some people."""

    def __init__(self) -> None:
        call_command("migrate", verbosity=0)
        self.expenses = [Account.objects.create(name=name, type=AccountType.expense, currencies=["CNY"])
                         for name in ("direct", "level2")]
        self.people = [Account.objects.create(name=f"p{n}", type=AccountType.liability, currencies=["CNY"])
                       for n in range(PEOPLE)]

    def book_one(self, number: int) -> None:
        with transaction.atomic():
            booked = Transaction.objects.create(description=f"order {number}")
            for leg in self.legs(number, booked):
                leg.save()

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


def per_second(clients: int, batch: int, seconds: float, books: Books) -> float:
    done: list[int] = []
    begun = time.perf_counter()

    def work() -> None:
        count = 0
        book: Callable[[int], None] = books.book_one if batch == 1 else lambda first: books.book_many(first, batch)
        while time.perf_counter() < begun + seconds:
            book(count)
            count += batch
        done.append(count)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - begun)


def main() -> None:
    books = Books()
    per_second(1, 1, 0.3, books)
    print("ready", flush=True)
    for line in sys.stdin:
        clients, batch, seconds = line.split()
        print(per_second(int(clients), int(batch), float(seconds), books), flush=True)


if __name__ == "__main__":
    main()
