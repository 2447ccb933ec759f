"""/healthz, /readyz and /metrics against real servers, alive and dead."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, text

from bot.runtime import health, metrics
from bot.runtime.settings import load
from domain import migrations

Client = Callable[..., FlaskClient]


@pytest.fixture
def client(engine: Engine, valkey_url: str, tmp_path: Path) -> Client:
    def make(engine: Engine = engine, **env: str) -> FlaskClient:
        app = Flask("test")
        given = {"HUITOU_HOME": str(tmp_path), "REDIS_URL": valkey_url, **env}
        app.register_blueprint(health.blueprint(load(given, tmp_path), engine))
        return app.test_client()

    return make


def test_all_is_well(client: Client) -> None:
    assert client().get("/healthz").json == {"status": "alive"}
    answer = client().get("/readyz")
    assert (answer.status_code, answer.json) == (
        200, {"status": "ready", "checks": {"database": "ok", "disk": "ok", "cache": "ok"}})


def test_without_the_cache_it_is_slower_not_dead(client: Client) -> None:
    answer = client(REDIS_URL="redis://127.0.0.1:9/0").get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert answer.json["checks"]["cache"] == "ConnectionError"


def test_without_the_database_it_lives_but_is_not_ready(client: Client) -> None:
    dead = client(create_engine("postgresql+psycopg://nobody:sesame@127.0.0.1:9/none"))
    answer = dead.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["database"]) == (503, "OperationalError")
    assert "sesame" not in answer.text
    assert dead.get("/healthz").status_code == 200


def test_an_old_schema_is_not_ready(client: Client, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text("update alembic_version set version_num = '0001'"))
    answer = client().get("/readyz")
    assert answer.status_code == 503 and "0001" in answer.json["checks"]["database"]


def test_an_empty_database_is_not_ready(client: Client, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text("drop table alembic_version"))
    assert "nothing" in client().get("/readyz").json["checks"]["database"]


def test_a_database_that_hangs_is_not_waited_for(client: Client, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text("lock table alembic_version in access exclusive mode"))
        answer = client().get("/readyz")
    assert answer.status_code == 503 and "database" in answer.json["checks"]


def test_a_busy_pool_does_not_look_like_a_dead_database(client: Client, database_url: str) -> None:
    small = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=30)
    with small.connect():
        assert client(small).get("/readyz").status_code == 200
    small.dispose()


def test_the_head_read_from_files_is_the_migration_tools_own() -> None:
    assert migrations.head() == ScriptDirectory(str(migrations.HERE)).get_current_head()


def test_metrics_show_counts_and_state(client: Client, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text(
            "insert into outbox (queue, kind, key, payload, created_at, due_at, state, reason) values "
            "('notice', 'x', 'k1', '{}', now(), now() - interval '90 seconds', 'waiting', ''), "
            "('slow', 'x', 'k2', '{}', now(), now(), 'dead', 'gave up')"))
    metrics.inbox("done")
    metrics.platform_answer("main", "message/custom/send", "45015")
    shown = client().get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in shown if line and not line.startswith("#"))
    assert float(values['huitou_outbox_oldest_seconds{queue="notice"}']) >= 90
    assert values['huitou_outbox_dead{queue="slow"}'] == "1.0"
    assert values["huitou_state_readable"] == "1.0"
    assert float(values['huitou_inbox_messages_total{outcome="done"}']) >= 1
    assert 'huitou_platform_answers_total{account="main",api="message/custom/send",errcode="45015"}' in values


def test_metrics_show_stuck_events_and_held_interfaces(client: Client, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text(
            "insert into commerce_open (id, due_at, type, subject, state, reason) select n, now(), 'order.received', "
            "'order:mall/' || n, (array['new', 'parked', 'conflict', 'conflict', 'dead'])[n], 'why' "
            "from generate_series(1, 5) n"))
        db.execute(text("insert into platform_hold (app_id, api, outcome, errcode, until) values "
                        "('wx1', 'a', 'back_off', 45009, now() + interval '1 hour'), "
                        "('wx1', 'b', 'back_off', 45011, now() - interval '1 hour'), "
                        "('wx1', '*', 'back_off', 0, null)"))
    shown = client().get("/metrics").text.splitlines()
    assert {line for line in shown if line.startswith(("huitou_events_stuck{", "huitou_platform_held{"))} == {
        'huitou_events_stuck{state="conflict"} 2.0', 'huitou_events_stuck{state="dead"} 1.0',
        'huitou_events_stuck{state="parked"} 1.0', 'huitou_platform_held{errcode="45009"} 1.0'}
    assert "huitou_state_readable 1.0" in shown


def test_metrics_survive_a_dead_database(client: Client) -> None:
    answer = client(create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")).get("/metrics")
    assert answer.status_code == 200 and "huitou_state_readable 0.0" in answer.text


def test_metrics_are_not_for_the_public(client: Client) -> None:
    assert client().get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
    guarded = client(METRICS_TOKEN="let-me-in")
    assert guarded.get("/metrics").status_code == 403
    assert guarded.get("/metrics", headers={"Authorization": "Bearer let-me-on"}).status_code == 403
    assert guarded.get("/metrics", headers={"Authorization": "Bearer let-me-in", "X-Forwarded-For": "1"}
                       ).status_code == 200
