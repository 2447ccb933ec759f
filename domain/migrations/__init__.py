"""Schema changes: alembic revisions, applied with short lock and statement timeouts.

The tool itself is loaded when there is something to change: who only asks for revisions needs 20 MB and a fifth of a
second less.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to ``revision``. Two processes at once are safe: the second waits, then has nothing to do."""
    with engine.connect() as connection:
        if revision == "head" and current(connection) == head():
            return
        connection.rollback()
        from alembic import command

        command.upgrade(_config(connection), revision)


def current(connection: Connection) -> str:
    """The revision that the database is at, '' when it is empty."""
    if not connection.scalar(text("select to_regclass('alembic_version') is not null")):
        return ""
    return str(connection.scalar(text("select version_num from alembic_version")) or "")


@cache
def head() -> str:
    """The newest revision of this code, read from the files."""
    newest: set[str] = set()
    before: set[str] = set()
    for path in (HERE / "versions").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        newest.update(re.findall(r'^revision(?:: str)? = "(\w+)"', source, re.M))
        before.update(re.findall(r'^down_revision(?:: .+?)? = "(\w+)"', source, re.M))
    (only,) = newest - before
    return only


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
