"""Runs the SQL of a revision: schema is written in SQL, where constraints, triggers and functions read best.

``sql/`` holds what a revision does once. ``functions/`` holds the database's functions as they are today, each in one
place: who changes one changes its text there, and makes a revision that says ``replace`` with its name. Only what
``create or replace`` cannot do (other parameters, another result) is dropped in the revision's own file first.
"""

import re
from functools import cache
from pathlib import Path

from alembic import op

HERE = Path(__file__).parent


def run(*names: str) -> None:
    """Execute the files ``sql/<name>.sql``, in order, in the migration's transaction."""
    for name in names:
        _execute((HERE / "sql" / f"{name}.sql").read_text("utf-8"))


def replace(*names: str) -> None:
    """Bring functions of the database to their text of ``functions/``. Raises KeyError for one that has none."""
    for name in names:
        _execute(functions()[name])


@cache
def functions() -> dict[str, str]:
    """The text of each function of the database by its name. Raises ValueError when one stands in two places."""
    texts = "".join(path.read_text("utf-8") for path in sorted((HERE / "functions").glob("*.sql")))
    found: dict[str, str] = {}
    for text in re.split(r"^(?=create or replace function )", texts, flags=re.MULTILINE)[1:]:
        name = text.split("(", 1)[0].split()[-1]
        if name in found:
            raise ValueError(f"the function {name} stands in two places of {HERE / 'functions'}")
        found[name] = text
    return found


def _execute(statements: str) -> None:
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
