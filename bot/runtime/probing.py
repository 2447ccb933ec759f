"""What a diagnosis may do to the database: read it, and note what it finds in copies of its own.

The doctor asks the platforms through the same gateways as the service. What these keep (a token, what an api made us
rest, certificates) would be believed by every process, and a doctor with another PORT would make the shop rest.
"""

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool, StaticPool

COPIED = ("platform_token", "platform_ticket", "platform_hold", "pay_certificate")
"""What gateways write. A temporary table is found before the one whose name it has."""

_CONNECT = {"connect_timeout": 3, "options": "-c statement_timeout=5000 -c timezone=UTC"}


def reader(url: str) -> Engine:
    """Looks at the house's own state: PostgreSQL refuses every write."""
    options = f"{_CONNECT['options']} -c default_transaction_read_only=on"
    return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={**_CONNECT, "options": options})


def prober(url: str) -> Engine:
    """For gateways of one thread: one connection with copies of what they keep, which end with it. PostgreSQL refuses
    every write to anything else."""
    engine = create_engine(url, poolclass=StaticPool, hide_parameters=True, connect_args=_CONNECT)

    @event.listens_for(engine, "connect")
    def copy(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            for table in COPIED:
                cursor.execute(f"create temporary table {table} (like public.{table} including all)")
                cursor.execute(f"insert into pg_temp.{table} select * from public.{table}")  # noqa: S608 - constants
            cursor.execute("set default_transaction_read_only = on")
        connection.commit()

    return engine
