"""compose.yaml, Dockerfile and Procfile against what is here: names of settings, commands, files, ports, and the whole
deployment started from nothing but what the image holds. Nothing of it needs docker."""

import ast
import fnmatch
import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot.runtime import embedded
from bot.runtime.cli import main
from bot.runtime.settings import VARIABLES
from tests import prepared
from tests.conftest import fresh_database
from tests.unit.platform.test_settings import SHOP

ROOT = Path(__file__).parents[3]
OURS = ("migrate", "web", "fast", "slow", "clock")
KNOWN = {one.name for one in VARIABLES}
OF_FILES = {f"{one.name}_FILE" for one in VARIABLES if one.secret}
STANDARD = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
yaml: Any = importlib.import_module("yaml")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def image() -> list[tuple[str, str]]:
    """The Dockerfile's last stage: instruction and the rest of its line, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    last = max(n for n, (word, *_) in enumerate(lines) if word == "FROM")
    return [(word, rest) for word, rest in lines[last:]]


def environment(image: list[tuple[str, str]]) -> dict[str, str]:
    given = [pair for word, rest in image if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in given)


def copied(image: list[tuple[str, str]]) -> dict[str, str]:
    """What the image takes from the repository: from → to."""
    pairs = [rest.split() for word, rest in image if word == "COPY" and "--from" not in rest]
    return dict(pairs)


def explains(words: list[str]) -> None:
    """``python -m bot WORDS`` is a command, and takes these words."""
    assert words[:3] == ["python", "-m", "bot"], words
    told = CliRunner().invoke(main, [*words[3:], "--help"])
    assert told.exit_code == 0 and "Usage:" in told.output, told.output
    refused = CliRunner().invoke(main, [*words[3:], "--no-such-option"])
    assert refused.exit_code == 2 and "No such option" in refused.output, "its arguments are complete"


def test_what_compose_starts_and_sets_is_known_here(compose: dict[str, Any], image: list[tuple[str, str]]) -> None:
    assert set(OURS) < set(compose["services"])
    for name in OURS:
        service = compose["services"][name]
        explains(service.get("command") or ast.literal_eval(dict(image)["CMD"]))
        assert set(service["environment"]) <= KNOWN | OF_FILES, name
        for variable, value in service["environment"].items():
            if variable in OF_FILES:
                assert value.removeprefix("/run/secrets/") in service["secrets"], variable
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert set(service["depends_on"]) <= set(compose["services"])
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert compose["services"]["web"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    for service in compose["services"].values():
        named = [one.split(":")[0] for one in service.get("volumes", []) if not one.startswith((".", "/"))]
        assert set(named) <= set(compose["volumes"])


def test_the_web_is_asked_whether_it_is_ready_where_it_listens(
        compose: dict[str, Any], image: list[tuple[str, str]]) -> None:
    web, given = compose["services"]["web"], environment(image)
    port = given["PORT"]
    assert web["ports"] == [f"127.0.0.1:{port}:{port}"] and dict(image)["EXPOSE"] == port
    assert given["HOST"] == "0.0.0.0", "or nobody outside of the container is heard"
    command, option, script = web["healthcheck"]["test"][1:]
    assert (command, option) == ("python", "-c") and f"http://127.0.0.1:{port}/readyz" in script
    compile(script, "healthcheck", "exec")
    metrics = [compose["services"][name]["environment"]["METRICS_PORT"] for name in ("fast", "slow", "clock")]
    assert all(one.isdigit() for one in metrics)


def test_the_image_holds_what_runs_and_nobody_is_root_in_it(image: list[tuple[str, str]]) -> None:
    assert set(environment(image)) <= KNOWN | STANDARD
    words = [word for word, _ in image]
    assert words.index("USER") < words.index("CMD") and dict(image)["USER"] not in ("root", "0")
    assert dict(image)["VOLUME"] == environment(image)["HUITOU_HOME"]
    made, = (rest for word, rest in image if word == "RUN" and "useradd" in rest)
    assert f"install -d -o {dict(image)['USER']}" in made and dict(image)["VOLUME"] in made
    kept = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
            if line.startswith("!")]
    for source in (*copied(image), "requirements.txt"):
        assert (ROOT / source).exists() and any(fnmatch.fnmatch(source, pattern) for pattern in kept), source
    packages = {source for source in copied(image) if (ROOT / source / "__init__.py").exists()}
    assert imported_from_here(packages) <= packages, "the image lacks what its code imports"


def imported_from_here(packages: set[str]) -> set[str]:
    """Packages of this repository that modules of ``packages`` import."""
    here = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"tests"}
    found: set[str] = set()
    for package in packages:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else (
                    [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else [])
                found |= {name.split(".")[0] for name in names} & here
    return found


def test_the_procfile_names_commands_that_are_there() -> None:
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text("utf-8").splitlines() if line)
    assert set(lines) == {"release", *OURS} - {"migrate"}
    for line in lines.values():
        words = shlex.split(line)
        while re.fullmatch(r"[A-Z_]+=.*", words[0]):
            assert words.pop(0).split("=")[0] in KNOWN
        explains(words)


def test_every_requirement_of_the_image_is_pinned_with_a_hash(image: list[tuple[str, str]]) -> None:
    text = (ROOT / "requirements.txt").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.strip().startswith("#")]
    assert len(lines) > 30 and all(re.match(r"\S+==\S+\s+(; .*)?--hash=sha256:", line) for line in lines)
    assert "--require-hashes -r /tmp/requirements.txt" in (ROOT / "Dockerfile").read_text("utf-8")


@contextmanager
def running(command: list[str], cwd: Path, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A part as its container runs it; asked to end as docker asks, and ended by itself within the grace."""
    with log.open("wb") as out, subprocess.Popen([sys.executable, *command[1:]], cwd=cwd, env=env, stdout=out,
                                                 stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            yield process
            hears_of_its_end(process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
        finally:
            with suppress(ProcessLookupError):  # whoever is left of it: the web's own processes, too
                os.killpg(process.pid, signal.SIGKILL)


def hears_of_its_end(process: subprocess.Popen[bytes]) -> None:
    """It has begun to catch SIGTERM: by then it can end in good order."""
    deadline = time.monotonic() + 60
    while True:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text("utf-8"))
        if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answered(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 90
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.2)


@pytest.mark.e2e
def test_the_parts_run_from_what_the_image_holds_on_servers_of_others(
        compose: dict[str, Any], image: list[tuple[str, str]], postgres: embedded.Server, valkey_url: str,
        prepared_home: Path, tmp_path: Path
) -> None:
    """Nothing of the repository but what is copied, a home without anything but pictures, settings as compose gives
    them."""
    app, home, secrets = tmp_path / "app", tmp_path / "data", tmp_path / "secrets"
    for source, target in copied(image).items():
        place = app / target / source if target.endswith("/") else app / target
        place.parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, place)  # type: ignore[operator]
    home.mkdir()
    prepared.share_pictures(prepared_home, home)
    secrets.mkdir()
    (tmp_path / "accounts.toml").write_text(SHOP, "utf-8")
    (secrets / "secret_key").write_text("0123456789abcdefghijklmnopqrstuvwxyzABCDEF\n")
    with fresh_database(postgres, "template0") as bare, ExitStack() as parts:
        (secrets / "database_url").write_text(bare + "\n")
        for name in OURS:
            service = compose["services"][name]
            port = embedded.free_port()
            given = environment(image) | service["environment"] | {
                "HOST": "127.0.0.1", "HUITOU_HOME": str(home), "REDIS_URL": valkey_url, "LOG_LEVEL": "info",
                "HUITOU_ACCOUNTS": str(tmp_path / "accounts.toml"), "PUBLIC_URL": "https://shop.example",
                "WEB_WORKERS": "2", "PORT": str(port), "METRICS_PORT": str(port) if name != "web" else "0"}
            given = {key: value.replace("/run/secrets", str(secrets)) for key, value in given.items()}
            env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)} | {
                key: value for key, value in given.items() if key != "PATH"}
            command = service.get("command") or ast.literal_eval(dict(image)["CMD"])
            log = tmp_path / f"{name}.log"
            if name == "migrate":
                done = subprocess.run([sys.executable, *command[1:]], cwd=app, env=env, capture_output=True,
                                      text=True, timeout=120)
                assert done.returncode == 0 and "database is at" in done.stdout, done.stderr
                continue
            process = parts.enter_context(running(command, app, env, log))
            where = "readyz" if name == "web" else "metrics"
            told = answered(f"http://127.0.0.1:{port}/{where}", process, log)
            assert '"status":"ready"' in told.replace(" ", "") if name == "web" else "huitou_" in told, told
    assert [path.name for path in home.iterdir() if path.name in ("postgres", "valkey", "secret.key")] == [], (
        "servers and key were given")
