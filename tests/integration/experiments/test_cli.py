"""``python -m bot experiment``: from a file to a result, every act under a name."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from bot.runtime.cli import main
from tests.integration.experiments.test_running import TOML

Run = Callable[..., Result]


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


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "restock.toml"
    path.write_text(TOML.format(metric="order", more=""), encoding="utf-8")
    return str(path)


def test_an_experiment_from_its_file_to_its_end(run: Run, file: str, engine: Engine) -> None:
    assert run("experiment", "create", file, "--as", "lin").exit_code == 0
    assert "restock" in run("experiment", "list").output
    assert run("experiment", "start", "restock", "--as", "lin").exit_code == 0
    assert run("experiment", "weigh", "restock", "zz-plain=10", "coupon=90", "--as", "lin").exit_code == 0
    told = json.loads(run("experiment", "result", "restock", "--json").stdout)
    assert (told["verdict"], [arm["name"] for arm in told["arms"]]) == ("too_early", ["zz-plain", "coupon"])
    assert "too early" in run("experiment", "result", "restock").output
    assert run("experiment", "adopt", "restock", "coupon", "--why", "sells", "--as", "lin").exit_code == 0
    assert "adopted: coupon" in run("experiment", "result", "restock").output
    with engine.connect() as db:
        acts = db.execute(text("select act from audit_event where subject = 'experiment:restock' order by id"))
        assert [act for (act,) in acts] == [f"experiment.{act}" for act in ("create", "start", "weigh", "adopt")]


def test_refusals_are_sentences(run: Run, file: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('key = "Bad!"\ntitle = "x"\nsurface = "copy"\n[goal]\nmetric = "order"\n'
                   '[[arms]]\nname = "a"\nweight = 1\n')
    for words in (("create", str(bad), "--as", "lin"), ("start", "nobody", "--as", "lin"), ("result", "nobody"),
                  ("create", file, "--as", "stranger"), ("weigh", "x", "a=-1", "--as", "lin")):
        result = run("experiment", *words)
        assert result.exit_code in (1, 2), words
        assert result.stderr.strip(), words
        assert "Traceback" not in result.stderr
    assert "arms" in run("experiment", "create", str(bad), "--as", "lin").stderr
