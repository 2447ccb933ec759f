"""The voice: every text a person sees, from assets/copy/*.toml, checked as a whole at start-up.

An entry is ``key = "text"`` or ``[key] text = … , args = [...], maybe = [...]``; its placeholders must be exactly its
``args`` and ``maybe``. What may be missing is None then: texts grow, and what was queued or published before goes on.
Texts are Jinja templates in a sandbox with a few filters for money, dates and names.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, meta, nodes, utils
from jinja2.sandbox import SandboxedEnvironment

from bot.kit.copy import CopyError
from bot.runtime.checked_texts import CheckedTexts
from domain.commissions.queries import masked
from domain.shared import money
from domain.shared.clock import SHANGHAI, business_date

Filled = Callable[[dict[str, object]], str]
"""A text, ready to be filled with its facts."""


class Voice:
    """Implements ``bot.kit.copy.Copy``. Raises CopyError with every fault of the files at once.

    Everything is checked at the start; a text is compiled when it is first said, so that commands start quickly.
    ``kept`` names a file that remembers texts that were found good: checking them takes a tenth of a start.
    """

    def __init__(self, folder: Path, kept: Path | None = None) -> None:
        self._environment = _environment()
        self._texts: dict[str, tuple[str, frozenset[str]]] = {}
        self._maybe: dict[str, frozenset[str]] = {}
        self._compiled: dict[str, Filled] = {}
        written = {path.name: path.read_bytes() for path in sorted(folder.glob("*.toml"))}
        checked = CheckedTexts(kept, written)
        if (known := checked.read()) is not None:
            self._texts, self._maybe = known
            return
        faults: list[str] = []
        for name, content in written.items():
            for key, entry in _entries(tomllib.loads(content.decode())):
                faults += self._take(name, key, entry)
        if faults:
            raise CopyError("assets/copy has faults:\n" + "\n".join(f"  - {fault}" for fault in faults))
        checked.write(self._texts, self._maybe)

    def render(self, key: str, /, **facts: object) -> str:
        """The text of ``key``. Raises CopyError for an unknown key or facts that are not its placeholders."""
        if key not in self._texts:
            raise CopyError(f"no text for {key}")
        written, wanted = self._texts[key]
        if wanted != facts.keys():
            if wanted - facts.keys() - self._maybe.get(key, _NONE) or facts.keys() - wanted:
                raise CopyError(f"{key}: needs {sorted(wanted)}, got {sorted(facts)}")
            facts = dict.fromkeys(wanted) | facts
        if key not in self._compiled:
            self._compiled[key] = _compiled(self._environment, written)
        return self._compiled[key](facts).strip()

    def has(self, key: str) -> bool:
        """Whether there is a text of that key."""
        return key in self._texts

    def parts(self, prefix: str, facts: Mapping[str, object]) -> dict[str, str]:
        """The texts right below ``prefix``, filled."""
        own = [key for key in self._texts if key.startswith(f"{prefix}.") and "." not in key[len(prefix) + 1:]]
        return {key[len(prefix) + 1:]: self.part(key, facts) for key in own}

    def part(self, key: str, facts: Mapping[str, object]) -> str:
        """The text of ``key`` with those of ``facts`` that it names."""
        if key not in self._texts:
            raise CopyError(f"no text for {key}")
        if missing := self._texts[key][1] - facts.keys() - self._maybe.get(key, _NONE):
            raise CopyError(f"{key}: needs {', '.join(sorted(missing))}")
        return self.render(key, **{name: facts[name] for name in self._texts[key][1] & facts.keys()})

    def explain(self, code: str, facts: Mapping[str, object]) -> str:
        """What an operator reads when a rule refused: ``error.<code>``, or ``error.other`` when there is none."""
        key = f"error.{code}"
        if key not in self._texts or not self._texts[key][1] <= facts.keys():
            return self.render("error.other", code=code)
        return self.render(key, **{name: facts[name] for name in self._texts[key][1]})

    def keys(self) -> Mapping[str, frozenset[str]]:
        """Every key with its placeholders."""
        return self._keys

    @cached_property
    def _keys(self) -> dict[str, frozenset[str]]:
        return {key: wanted for key, (_, wanted) in self._texts.items()}

    def maybe(self) -> dict[str, frozenset[str]]:
        """Of the keys that have some: the placeholders that need not be filled."""
        return dict(self._maybe)

    def written(self) -> dict[str, str]:
        """Every text by its key as it is written, with its placeholders unfilled."""
        return {key: text for key, (text, _) in self._texts.items()}

    def _take(self, file: str, key: str, entry: dict[str, Any]) -> Iterator[str]:
        maybe = frozenset(entry.get("maybe", []))
        wanted = frozenset(entry.get("args", [])) | maybe
        written = entry["text"]
        try:
            named = _named(written)
        except TemplateError as fault:
            yield f"{file} {key}: {fault}"
            return
        if named - wanted:
            yield f"{file} {key}: placeholder not in args: {', '.join(sorted(named - wanted))}"
        if wanted - named:
            yield f"{file} {key}: args that the text does not use: {', '.join(sorted(wanted - named))}"
        if key in self._texts:
            yield f"{file} {key}: stands twice"
        self._texts[key] = (written, wanted)
        if maybe:
            self._maybe[key] = maybe


_NONE: frozenset[str] = frozenset()
_HOLES = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_HOLE = re.compile(r"\{\{ (?P<name>[a-z_][a-z0-9_]*)(?:\.[a-z_]+)*(?: \| (?P<filter>[a-z_]+))? \}\}")


@cache
def _named(written: str) -> frozenset[str]:
    """The placeholders of a text. Nearly all texts hold plain ones, and asking Jinja takes up to 3 ms for each.

    Raises TemplateError."""
    holes = [_HOLE.fullmatch(hole) for hole in _HOLES.findall(written)]
    plain = all(hole and (hole["filter"] is None or hole["filter"] in FILTERS) for hole in holes)
    if plain and "{" not in _HOLES.sub("", written):
        return frozenset(hole["name"] for hole in holes if hole)
    environment = _environment()
    tree = environment.parse(written)
    known = all(node.name in environment.filters for node in tree.find_all(nodes.Filter)) and all(
        node.name in environment.tests for node in tree.find_all(nodes.Test))
    if not known or any(tree.find(kind) for kind in _SCOPED):
        return frozenset(meta.find_undeclared_variables(tree))
    return frozenset(_free(tree, frozenset()))


_SCOPED = (nodes.Macro, nodes.Assign, nodes.AssignBlock, nodes.With, nodes.CallBlock, nodes.FilterBlock, nodes.Block,
           nodes.Include, nodes.Import, nodes.FromImport)
"""Statements with rules of their own about names: what is in them Jinja says, as it says what is wrong."""


def _free(node: nodes.Node, bound: frozenset[str]) -> Iterator[str]:
    """Names that are read and bound by no loop around them; Jinja would write a program to find them."""
    if isinstance(node, nodes.Name):
        if node.name not in bound:
            yield node.name
    elif isinstance(node, nodes.For):
        inside = bound | {"loop"} | {name.name for name in (node.target, *node.target.find_all(nodes.Name))
                                     if isinstance(name, nodes.Name)}
        for part in (*node.body, *([node.test] if node.test else [])):
            yield from _free(part, inside)
        for part in (node.iter, *node.else_):
            yield from _free(part, bound)
    else:
        for part in node.iter_child_nodes():
            yield from _free(part, bound)


def _entries(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, str):
            yield key, {"text": value}
        elif "text" in value and isinstance(value["text"], str) and not set(value) - {"text", "args", "maybe"}:
            yield key, value
        else:
            yield from _entries(value, f"{key}.")


def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                                       autoescape=False)
    environment.filters.update(FILTERS)
    return environment


_PLAIN_NODES = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For,
                nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not)


def _compiled(sandbox: SandboxedEnvironment, written: str) -> Filled:
    """The text, compiled. The sandbox looks at every attribute that is read, and what Jinja makes for each rendering
    (blocks, exports, globals by name) costs more than the text: three quarters of what 佣金 costs, together. A text
    without calls and private names asks for nothing that the sandbox could refuse, nor for what is made: it goes
    without, and is given its facts alone."""
    tree = sandbox.parse(written)
    open_ = all(
        isinstance(node, _PLAIN_NODES)
        or (isinstance(node, nodes.Getattr) and not node.attr.startswith("_"))
        or (isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, int))
        or (isinstance(node, nodes.Filter) and node.name in FILTERS)
        for node in tree.find_all(nodes.Node))
    if not open_:
        return sandbox.from_string(written).render
    root = _by_attribute().from_string(written).root_render_func

    @cache
    def as_jinja() -> Callable[..., Iterator[str]]:
        return _unguarded().from_string(written).root_render_func

    def filled(facts: dict[str, object]) -> str:
        try:
            return "".join(root(_Facts(facts)))  # type: ignore[arg-type]
        except AttributeError:
            # A fact that is a dict, or lacks what is asked: Jinja's own way finds it, or names it. For these facts
            # only: notices bring what was JSON, and chat, which says the same with objects, is not slowed by it.
            return "".join(as_jinja()(_Facts(facts)))

    return filled


class _Facts:
    """All that a text without calls asks of Jinja's context."""

    __slots__ = ("_facts",)

    def __init__(self, facts: dict[str, object]) -> None:
        self._facts = facts

    def resolve_or_missing(self, name: str) -> object:
        """The fact, or what Jinja knows as none."""
        return self._facts.get(name, utils.missing)


@cache
def _by_attribute() -> Environment:
    """Reads attributes as Python does: Jinja's own way is a function call for each, of which 佣金 has fifteen."""
    environment = _unguarded().overlay()
    environment.getattr = getattr  # type: ignore[assignment, method-assign]
    return environment


@cache
def _unguarded() -> Environment:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                              autoescape=False)  # noqa: S701 - chat is plain text
    environment.filters.update(FILTERS)
    return environment


MOST_QUOTED = 24


def _instant(value: datetime | str) -> datetime:
    """Facts travel as JSON, so an instant may come as text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _day(value: datetime | date | str) -> str:
    if isinstance(value, datetime | str):
        value = business_date(_instant(value))
    return f"{value.month}月{value.day}日"


def _full_day(value: datetime | str) -> str:
    """``2026年11月20日`` where the shop is: for what is kept longer than a year."""
    day = business_date(_instant(value))
    return f"{day.year}年{day.month}月{day.day}日"


def _month_name(value: str) -> str:
    """``2026-10`` → ``2026年10月``."""
    year, month = value.split("-")
    return f"{year}年{int(month)}月"


def _moment(value: datetime | str) -> str:
    local = _instant(value).astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日 {local:%H:%M}"


def _quoted(said: str) -> str:
    """Somebody's own words, said back to them: on one line, and not so many that our answer drowns."""
    words = " ".join(said.split())
    return words if len(words) <= MOST_QUOTED else f"{words[:MOST_QUOTED]}…"


def _called(name: str) -> str:
    """A masked name, or what everybody is called of whom WeChat tells no name."""
    return name if name.strip("*") else "微信用户"


FILTERS: dict[str, Callable[..., str]] = {
    "yuan": money.yuan, "percent": money.percent, "times": money.times, "day": _day, "month_name": _month_name,
    "moment": _moment, "masked": masked, "called": _called, "quoted": _quoted,
    "full_day": _full_day,
}
"""How texts, and the customers' pages, write money, rates, days and names."""
