"""Runs the SQL files of a revision: schema is written in SQL, where constraints, triggers and functions read best."""

from pathlib import Path

from alembic import op

SQL = Path(__file__).parent / "sql"


def run(*names: str) -> None:
    """Execute the files ``sql/<name>.sql``, in order, in the migration's transaction."""
    for name in names:
        statements = (SQL / f"{name}.sql").read_text("utf-8")
        op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
