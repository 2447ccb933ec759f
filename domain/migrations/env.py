"""Run by alembic: one transaction a revision, guarded so that a migration never blocks the shop for long."""

from alembic import context

from domain.migrations import env_models  # noqa: F401
from domain.shared.db import Base

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"
ONE_AT_A_TIME = 0x48555449
"""Advisory lock: a second migrator waits here, then finds nothing left to do."""

connection = context.config.attributes["connection"]
connection.exec_driver_sql(f"select pg_advisory_lock({ONE_AT_A_TIME})")
connection.exec_driver_sql(f"set lock_timeout = '{LOCK_TIMEOUT}'")
connection.exec_driver_sql(f"set statement_timeout = '{STATEMENT_TIMEOUT}'")
connection.commit()
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
try:
    with context.begin_transaction():
        context.run_migrations()
finally:
    connection.rollback()
    connection.exec_driver_sql(f"select pg_advisory_unlock({ONE_AT_A_TIME})")
    connection.exec_driver_sql("reset lock_timeout")
    connection.exec_driver_sql("reset statement_timeout")
    connection.commit()
