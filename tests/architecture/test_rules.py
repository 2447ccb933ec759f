"""The laws of the house that a machine can read. A rule kept by habit is a rule lost."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("bot", "handlers", "domain")

MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 50

LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
"""``path`` or ``path::function`` -> why it is better long. Entries that are not needed any more fail too."""

CLOCKS = {
    "domain/shared/clock.py": "the clock itself",
    "bot/runtime/": "the edge: signatures, tokens, timeouts and health are judged by real time",
    "handlers/web/api/": "the edge: signatures again",
    "bot/simulator/": "a peer with a real clock of its own",
}
"""Who may read the real time, and why. Everybody else is given a Clock."""

MONEY_ROOMS = ("domain/shared/money.py", "domain/ledger/", "domain/commissions/", "domain/orders/", "domain/payouts/",
               "domain/rewards/", "domain/settlements/")

HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources(*floors: str) -> Iterator[tuple[str, Path]]:
    """Every Python file below ``floors`` with its path from the root."""
    for floor in floors:
        for path in sorted((ROOT / floor).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path


def docstrings(tree: ast.AST) -> set[ast.AST]:
    """String statements: documentation, not text that anybody is sent."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_have_one_subject() -> None:
    long = {name for name, path in sources(*FLOORS)
            if len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES}
    assert long == set(LONG_FILES)


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function itself: those of functions defined inside it (views on a blueprint) are their own."""
    own = (function.end_lineno or 0) - function.lineno + 1
    inner = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef) and node is not function]
    return own - sum((node.end_lineno or 0) - node.lineno + 1 for node in inner)


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{name}::{node.name}"
        for name, path in sources(*FLOORS) for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > MAX_FUNCTION_LINES
    }
    assert long == set(LONG_FUNCTIONS)


def test_every_file_says_what_it_owns() -> None:
    silent = [name for name, path in sources(*FLOORS)
              if path.stat().st_size and "/versions/" not in name and not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_no_float_touches_money() -> None:
    """No float literal, no float(), no true division, where money is counted."""
    found = []
    for name, path in sources("domain"):
        if name.startswith(MONEY_ROOMS):
            tree = tree_of(path)
            waiting = {inner for node in ast.walk(tree) if _is_sleep(node) for inner in ast.walk(node)}
            for node in ast.walk(tree):
                is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
                is_name = isinstance(node, ast.Name) and node.id == "float"
                is_division = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not _is_path(node)
                if (is_float or is_name or is_division) and node not in waiting:
                    found.append(f"{name}:{getattr(node, 'lineno', 0)}")
    assert found == []


def _is_sleep(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep"


def _is_path(node: ast.BinOp) -> bool:
    """``folder / "name"``: a division whose right side is a string joins paths."""
    right = node.right
    return (isinstance(right, ast.JoinedStr) or (isinstance(right, ast.Constant) and isinstance(right.value, str))
            or (isinstance(right, ast.Name) and right.id in ("name", "file_name")))


def test_time_is_injected() -> None:
    """``datetime.now``, ``utcnow``, ``today``, ``time.time`` only where real time is the subject."""
    found = []
    for name, path in sources(*FLOORS):
        if not name.startswith(tuple(CLOCKS)):
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (
                        (node.value.id in ("datetime", "date") and node.attr in ("now", "utcnow", "today"))
                        or (node.value.id == "time" and node.attr in ("time", "time_ns", "localtime", "gmtime"))):
                    found.append(f"{name}:{node.lineno}")
    assert found == []


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def impurities(path: Path) -> list[str]:
    """What a module imports beyond the standard library, PURE, and modules of the domain that are pure themselves."""
    found = []
    for module in imported(tree_of(path)):
        if module.split(".")[0] in sys.stdlib_module_names or module in PURE:
            continue
        own = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        if not (module.startswith("domain.") and own.is_file() and own != path and not impurities(own)):
            found.append(f"{path.relative_to(ROOT).as_posix()}: {module}")
    return found


PURE = ("domain.shared", "domain.shared.money", "domain.shared.clock", "domain.shared.errors", "msgspec")
"""What pure modules may know: our own ground floor, and a library that only reads data into shapes."""


def test_rules_are_pure() -> None:
    """``rules.py`` decides on plain values: no database and no web, not even by a detour."""
    found = [fault for _, path in sources("domain") if path.name == "rules.py" for fault in impurities(path)]
    assert found == []


CHINESE = {
    "domain/payouts/reconcile.py": "the provider's own word in its fund bill",
    "handlers/web/api/event_shapes.py": "the examples of the API's documentation are data",
    "domain/commissions/queries.py": "reads amounts as people write them",
    "domain/shared/amounts.py": "reads amounts as people write them",
    "domain/shared/numerals.py": "reads numbers as people write them",
    "domain/notices/hours.py": "reads hours of the day as people write them",
    "domain/subscriptions/rules.py": "the platform's own signs of amounts and dates",
    "domain/shared/wording.py": "ornaments are compared, not said",
    "domain/settlements/rules.py": "reads months as people write them",
}


def test_handlers_hold_no_chinese() -> None:
    """Texts live in assets/copy by key (law 6)."""
    found = []
    for name, path in sources("handlers", "domain", "bot/kit"):
        tree = tree_of(path)
        prose = docstrings(tree)
        found += [f"{name}:{node.lineno}" for node in ast.walk(tree)
                  if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose
                  and HAN.search(node.value) and name not in CHINESE]
    assert found == []


@pytest.mark.parametrize("floor", ["bot/runtime/channels", "bot/runtime/webhook.py", "handlers/web"])
def test_signatures_are_compared_in_constant_time(floor: str) -> None:
    """No ``==`` or ``!=`` with a signature, digest, token or key on a side."""
    secretive = re.compile(r"signature|digest|token|hmac|secret|api_key", re.I)
    files = [ROOT / floor] if floor.endswith(".py") else [path for _, path in sources(floor)]
    found = []
    for path in files:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                names = [part.id if isinstance(part, ast.Name) else part.attr
                         for side in (node.left, *node.comparators) for part in ast.walk(side)
                         if isinstance(part, ast.Name | ast.Attribute)]
                found += [f"{path.name}:{node.lineno} {name}" for name in names if secretive.search(name)]
    assert found == []


def test_nothing_names_a_machine() -> None:
    """No home directory, build path or scratch folder of whoever wrote it."""
    path = re.compile("|".join(re.escape(root) + r"/[\w.-]" for root in ("/root", "/home", "/work", "/Users")))
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.splitlines()
    found = []
    for name in listed:
        file = ROOT / name
        if file.is_file() and file.stat().st_size < 2_000_000 and file != Path(__file__):
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            found += [f"{name}:{number}" for number, line in enumerate(text.splitlines(), 1) if path.search(line)]
    assert found == []


def test_processes_are_not_asked_to_run_pickles() -> None:
    """Whoever can write to Redis or the database must not be able to run code."""
    found = [f"{name}: {module}" for name, path in sources(*FLOORS) for module in imported(tree_of(path))
             if module.split(".")[0] in ("pickle", "marshal", "shelve", "dill")]
    assert found == []


def test_no_bell_rings_before_the_commit() -> None:
    """Whoever it wakes would find nothing, and the row would wait for the next sweep."""

    def early(node: ast.AST, inside: bool) -> Iterator[int]:
        inside = inside or (isinstance(node, ast.With)
                            and any(".begin(" in ast.unparse(item.context_expr) for item in node.items))
        if inside and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "ring":
            yield node.lineno
        for child in ast.iter_child_nodes(node):
            yield from early(child, inside)

    assert [f"{name}:{line}" for name, path in sources(*FLOORS) for line in early(tree_of(path), False)] == []
