"""``python -m bot journey``: from a file to its figures, every act under a name."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from tests.integration.journeys.world import World
from tests.integration.people.crowd import crowd

Run = Callable[..., Result]
ROOT = Path(__file__).parents[3]
RESTOCK, WELCOME = (str(ROOT / "assets" / "journeys" / f"{name}.toml") for name in ("restock", "welcome"))
BAD = 'key = "x"\ntitle = "x"\non = "no.event"\n[[step]]\nid = "a"\nsay = "no.text"\nwhat = 1\n'


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def run(database_url: str, valkey_url: str, tmp_path: Path) -> Run:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}
    run = lambda *words: CliRunner().invoke(main, words, env=env, catch_exceptions=False)  # noqa: E731
    assert run("operator", "add", "lin", "--role", "owner").exit_code == 0
    return run


def test_a_journey_from_its_file_to_the_archive(run: Run, engine: Engine) -> None:
    assert "edition 1 would be" in run("journey", "publish", RESTOCK, "--as", "lin", "--dry-run").output
    assert "there are none" in run("journey", "list").output
    assert "edition 1 is the one for new runs" in run("journey", "publish", RESTOCK, "--as", "lin").output
    assert "this very document already" in run("journey", "publish", RESTOCK, "--as", "lin").output
    assert [one["state"] for one in json.loads(run("journey", "list", "--json").stdout)] == ["live"]
    for act, state in (("pause", "paused"), ("drain", "draining")):
        assert run("journey", act, "restock", "--as", "lin").output == f"restock is {state}\n"
    refused = run("journey", "resume", "restock", "--as", "lin")
    assert refused.exit_code == 1 and "当前是 draining" in refused.output
    assert "0 entered" in run("journey", "stats", "restock").output
    assert run("journey", "archive", "restock", "--why", "over", "--as", "lin").exit_code == 0
    with engine.connect() as db:
        acts = db.execute(text("select act from audit_event where subject = 'journey:restock' order by id")).scalars()
        assert [act.removeprefix("journey.") for act in acts] == [
            "publish", "publish", "pause", "drain", "archive"]


def test_a_draft_runs_when_it_is_published(run: Run) -> None:
    run("journey", "publish", WELCOME, "--draft", "--as", "lin")
    assert "draft" in run("journey", "list").output
    assert "edition 1 is the one" in run("journey", "publish", "welcome", "--as", "lin").output
    assert "live" in run("journey", "list").output


def test_a_newer_shipped_edition_is_told_of_shown_and_published_by_one_command(run: Run, tmp_path: Path) -> None:
    """What this shop runs is an edition of before; nothing is published until somebody wants it."""
    old = tmp_path / "restock.toml"
    old.write_text(Path(RESTOCK).read_text("utf-8").replace('title = "', 'title = "旧版', 1), "utf-8")
    run("journey", "publish", str(old), "--as", "lin")
    run("journey", "publish", WELCOME, "--as", "lin")
    run("journey", "pause", "restock", "--as", "lin")
    listed = json.loads(run("journey", "list", "--json").stdout)
    assert {one["key"]: one["newer"] for one in listed} == {"restock": True, "welcome": False}
    assert "(newer)" in run("journey", "list").output and "journey upgrade" in run("journey", "list").output
    told = run("journey", "upgrade", "--as", "lin").output
    assert told.startswith("restock ") and "welcome" not in told
    looked = run("journey", "upgrade", "restock", "--dry-run", "--as", "lin").output
    assert '- "title": "旧版' in looked and "edition 2 would be" in looked and "priority" not in looked
    assert "旧版" in run("journey", "list").output
    assert "edition 2 is the one for new runs" in run("journey", "upgrade", "restock", "--as", "lin").output
    after = {one["key"]: (one["version"], one["state"], one["newer"])
             for one in json.loads(run("journey", "list", "--json").stdout)}
    assert after["restock"] == (2, "paused", False)
    assert "has had its shipped edition" in run("journey", "upgrade", "--as", "lin").output
    run("journey", "publish", str(old), "--as", "lin")
    assert "has had its shipped edition" in run("journey", "upgrade", "--as", "lin").output, "they went back knowingly"


@pytest.mark.parametrize("how", [[], ["--draft"]])
def test_an_upgrade_that_changes_nothing_leaves_no_trace(run: Run, engine: Engine, how: list[str]) -> None:
    run("journey", "publish", RESTOCK, *how, "--as", "lin")
    before = traces(engine)
    assert "is the shipped one already" in run("journey", "upgrade", "restock", "--as", "lin").output
    assert traces(engine) == before


def traces(engine: Engine) -> list[tuple[object, ...]]:
    """What an act on journeys leaves behind: its entry in the log, and who changed the journey when."""
    with engine.connect() as db:
        logged = db.execute(text("select act, count(*) from audit_event group by 1 order by 1")).all()
        return [tuple(row) for row in [*logged, *db.execute(text("select changed_by, changed_at, state from journey"))]]


def test_an_upgrade_is_an_operators_act_and_of_what_is_shipped(run: Run) -> None:
    run("operator", "add", "shen", "--role", "reviewer", "--as", "lin")
    run("journey", "publish", RESTOCK, "--as", "lin")
    assert run("journey", "upgrade", "restock", "--as", "shen").exit_code == 1
    assert run("journey", "upgrade", "no_such", "--as", "lin").exit_code == 2
    assert run("journey", "upgrade", "welcome", "--as", "lin").exit_code == 1, "it was never published here"
    assert run("journey", "upgrade", "restock", "welcome", "--map", "a=b", "--as", "lin").exit_code == 2


@pytest.mark.parametrize(("name", "field", "told", "given"), [
    ("birthday", "month", " 月是您的生日月", "5 月是您的生日月"), ("star", "month", "月的月度推荐之星", "2026年3月"),
    ("year_top", "year", "年", "2025"),
])
def test_a_preview_without_the_events_fields_shows_examples_and_says_so(
        run: Run, engine: Engine, name: str, field: str, told: str, given: str) -> None:
    with Session(engine) as session:
        who, = crowd(session, 1)
        session.commit()
    file = str(ROOT / "assets" / "journeys" / f"{name}.toml")
    seen = run("journey", "preview", file, "--person", str(who))
    assert seen.exit_code == 0 and "None" not in seen.output
    assert told in seen.output and f"made up, give it with --event: event.{field}" in seen.output
    value = {"birthday": "5", "star": "2026-03", "year_top": "2025"}[name]
    more = ["--event", "orders=3"] if name == "star" else []
    seen = run("journey", "preview", file, "--person", str(who), "--event", f"{field}={value}", *more)
    assert given in seen.output and f"event.{field}" not in seen.output


def test_faults_are_named_at_once(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(BAD)
    told = run("journey", "validate", RESTOCK, str(bad))
    assert told.exit_code == 1 and f"{RESTOCK}: ok" in told.output and "unknown field what" in told.output
    bad.write_text(BAD.replace("what = 1\n", ""))
    found = json.loads(run("journey", "validate", str(bad), "--json").stdout)[str(bad)]
    assert len(found) == 2
    refused = run("journey", "publish", str(bad), "--as", "lin")
    assert refused.exit_code == 1 and "旅程不能使用" in refused.output and "no text" in refused.output


def test_only_operators_and_owners_change_journeys(run: Run) -> None:
    run("operator", "add", "shen", "--role", "reviewer", "--as", "lin")
    assert run("journey", "publish", RESTOCK, "--as", "shen").exit_code == 1
    assert run("journey", "publish", RESTOCK, "--as", "nobody").exit_code == 1


def test_words_list_what_may_be_said(run: Run) -> None:
    told = run("journey", "words").output
    assert "line.paid" in told and "restock.cycle_days" in told and "coupon" in told
    assert {"events", "facts", "grants", "pictures"} == json.loads(run("journey", "words", "--json").stdout).keys()


def test_trying_out(run: Run, world: World) -> None:
    li = world.person("李")
    seen = run("journey", "preview", RESTOCK, "--person", str(li), "--event", "sku=MILK-12", "--assume",
               "restock.cycle_days=10", "--assume", "product.title=牛奶")
    assert seen.exit_code == 0 and "enters: yes" in seen.output and "「牛奶」差不多快用完了" in seen.output
    told = json.loads(run("journey", "preview", WELCOME, "--person", str(li), "--event", "first=true", "--json").stdout)
    assert told["enters"] and [line["step"] for line in told["lines"]][:2] == ["first_morning", "guide"]
    for wrong in (["--event", "first=maybe"], ["--assume", "x.y=1"]):
        assert run("journey", "preview", WELCOME, "--person", str(li), *wrong).exit_code == 2
    assert run("journey", "preview", "nobody_knows", "--person", str(li)).exit_code == 1
    report = run("journey", "simulate", RESTOCK, "--people", "10", "--days", "30")
    assert report.exit_code == 1 and "nobody comes to: before" in report.output
    assert json.loads(run("journey", "simulate", RESTOCK, "--json").stdout)["sampled"] == 1


def test_parked_runs_are_shown_and_let_go(run: Run, world: World) -> None:
    assert run("journey", "parked").exit_code == 0
    world.publish()
    world.happens("line.paid", "李", sku="RICE", order_id=1)
    world.work()
    world.rows("update enrolment set state = 'parked', fault = 'KeyError: x' returning 1")
    shown = run("journey", "parked")
    assert shown.exit_code == 1 and "KeyError: x" in shown.output
    one, = json.loads(run("journey", "parked", "nudge", "--json").stdout)
    assert run("journey", "retry", str(one["id"]), "999", "--as", "lin").exit_code == 1
    assert run("journey", "parked").exit_code == 0
