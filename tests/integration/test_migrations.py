"""The migrated schema is what the models say, and two migrators at once are safe."""

import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from bot.runtime import embedded
from domain import migrations
from domain.shared.db import Base


def test_models_and_migrations_agree(engine: Engine) -> None:
    import domain.migrations.env_models  # noqa: F401

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_database_is_at_head(engine: Engine) -> None:
    with engine.connect() as connection:
        assert migrations.current(connection) == migrations.head() != ""


def test_two_migrators_at_once(postgres: embedded.Server) -> None:
    admin = create_engine(postgres.url.replace("/huitou?", "/postgres?"), isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        db.execute(text("create database two_migrators"))
    url = postgres.url.replace("/huitou?", "/two_migrators?")
    script = "from sqlalchemy import create_engine; from domain import migrations; "
    script += f"migrations.upgrade(create_engine({url!r}))"
    running = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) for _ in range(3)]
    faults = [process.communicate()[1] for process in running]
    engine = create_engine(url)
    with engine.connect() as connection:
        assert (faults, migrations.current(connection)) == ([b""] * 3, migrations.head())
    engine.dispose()
    with admin.connect() as db:
        db.execute(text("drop database two_migrators with (force)"))
    admin.dispose()
