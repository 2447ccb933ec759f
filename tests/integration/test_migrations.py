"""The migrated schema is what the models say, and two migrators at once are safe."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from bot.runtime import embedded
from domain import migrations
from domain.migrations import files
from domain.shared.db import Base


# Rules that are declared and kept otherwise (0075): SQLAlchemy cannot read NOT ENFORCED, and compares no rules anyway.
@pytest.mark.filterwarnings("ignore:Could not parse CHECK constraint text.*NOT ENFORCED")
def test_models_and_migrations_agree(engine: Engine) -> None:
    import domain.migrations.env_models  # noqa: F401

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_database_is_at_head(engine: Engine) -> None:
    with engine.connect() as connection:
        assert migrations.current(connection) == migrations.head() != ""


def test_each_function_of_the_database_stands_in_one_place_as_it_is(engine: Engine) -> None:
    told = text(
        "select p.proname, pg_get_functiondef(p.oid) from pg_proc p where p.pronamespace = 'public'::regnamespace"
        " and p.prokind <> 'a'"
        " and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')")
    with engine.connect() as connection:
        is_there = dict(connection.execute(told).all())
        for words in files.functions().values():
            connection.exec_driver_sql(words, execution_options={"no_parameters": True})
        written = dict(connection.execute(told).all())
        connection.rollback()
    assert set(files.functions()) == set(is_there), "functions/ holds all of them, and nothing else"
    differ = [name for name, definition in is_there.items() if written[name] != definition]
    assert not differ, f"write their text in functions/, and a revision that says replace(): {differ}"


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
