"""The voice: faults of the copy files are named at start-up, all at once; facts must be exactly the placeholders."""

import ast
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from jinja2 import Environment, StrictUndefined, UndefinedError, meta

from bot.kit.copy import CopyError
from bot.runtime.bootstrap import ASSETS
from bot.runtime.understanding.lexicon import load
from bot.runtime.voice import FILTERS, Voice

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice(ASSETS / "copy")


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        '[x]\nmissing = {text = "{{ fen | yuan }}", args = []}\nunused = {text = "ja", args = ["fen"]}\n'
        'broken = "{{ fen"\nfilter = {text = "{{ fen | euro }}", args = ["fen"]}\n')
    (tmp_path / "b.toml").write_text('x.unused = "twice"\n')
    with pytest.raises(CopyError) as fault:
        Voice(tmp_path)
    for part in ("x.missing: placeholder not in args: fen", "x.unused: args that the text does not use: fen",
                 "x.broken", "x.filter", "b.toml x.unused: stands twice"):
        assert part in str(fault.value)


def test_texts_that_were_checked_are_the_same_from_the_file(tmp_path: Path, voice: Voice) -> None:
    kept = tmp_path / "kept.json"
    first, second = Voice(ASSETS / "copy", kept), Voice(ASSETS / "copy", kept)
    for one in (first, second):
        assert (one.written(), one.keys(), one.maybe()) == (voice.written(), voice.keys(), voice.maybe())
    assert second.explain("nobody knows this", {}) == voice.explain("nobody knows this", {})
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_what_is_kept_is_what_is_read(tmp_path: Path) -> None:
    """Otherwise the test above would say nothing."""
    (tmp_path / "a.toml").write_text("x = 'one'\n")
    kept = tmp_path / "kept.json"
    Voice(tmp_path, kept)
    kept.write_text(kept.read_text().replace("one", "two"))
    assert Voice(tmp_path, kept).render("x") == "two"


def test_changed_texts_are_checked_again(tmp_path: Path) -> None:
    kept, copy = tmp_path / "kept.json", tmp_path / "a.toml"
    copy.write_text("x = 'one'\n")
    Voice(tmp_path, kept)
    copy.write_text("x = '{{ one }}'\n")
    for _ in range(2):
        with pytest.raises(CopyError, match="placeholder not in args: one"):
            Voice(tmp_path, kept)
    copy.write_text("x = 'two'\n")
    (tmp_path / "b.toml").write_text("y = 'three'\n")
    assert Voice(tmp_path, kept).written() == {"x": "two", "y": "three"}


@pytest.mark.parametrize("found", [b"", b"{", b"[]", b"null", b'{"of": 1}', b"\xff\xfe", b"[" * 200_000, None])
def test_a_file_that_is_no_use_costs_a_check(tmp_path: Path, found: bytes | None) -> None:
    (tmp_path / "a.toml").write_text("x = 'one'\n")
    kept = tmp_path / "kept" if found is not None else tmp_path / "no such folder" / "kept"
    if found is not None:
        kept.write_bytes(found)
    assert Voice(tmp_path, kept).render("x") == "one"
    assert Voice(tmp_path, kept).render("x") == "one"


@pytest.mark.parametrize(("text", "args"), [
    ("{% if a %}{{ b.c }}{% elif d > 1 %}{{ e[0] }}{% else %}{{ f | yuan }}{% endif %}", "abdef"),
    ("{% for x in a %}{{ loop.index }}{{ x }}{{ b }}{% else %}{{ c }}{% endfor %}", "abc"),
    ("{% for x, y in a if x and b %}{{ y }}{% endfor %}", "ab"),
    ("{% for x in a %}{% for y in x %}{{ x }}{{ y }}{% endfor %}{% endfor %}", "a"),
    ("{% for x in a %}{{ x }}{% endfor %}{{ x }}", "ax"),
    ("{% set x = a %}{{ x }}{{ b }}", "ab"),
    ("{% macro m(x) %}{{ x }}{{ a }}{% endmacro %}{{ m(b) }}", "ab"),
    ("{{ (a if b is none else c) ~ d.e(f) }}", "abcdf"),
])
def test_the_placeholders_of_conditions_and_loops_are_found(tmp_path: Path, text: str, args: str) -> None:
    (tmp_path / "a.toml").write_text(f"[x]\nsaid = {{text = '{text}', args = {list(args)}}}\n")
    assert Voice(tmp_path).keys() == {"x.said": frozenset(args)}
    (tmp_path / "a.toml").write_text(f"[x]\nsaid = '{text}'\n")
    with pytest.raises(CopyError, match=f"not in args: {', '.join(args)}$"):
        Voice(tmp_path)


@pytest.mark.parametrize("text", ["{% for x in a %}{{ x | euro }}{% endfor %}", "{{ a is rich }}"])
def test_unknown_filters_and_tests_are_faults_wherever_they_stand(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_text(f"[x]\nsaid = {{text = '{text}', args = ['a']}}\n")
    with pytest.raises(CopyError, match=r"No (filter|test) named"):
        Voice(tmp_path)


def test_rendering_wants_exactly_the_placeholders(voice: Voice) -> None:
    with pytest.raises(CopyError, match="no text for"):
        voice.render("nobody.knows")
    with pytest.raises(CopyError, match="needs"):
        voice.render("poster.making")
    with pytest.raises(CopyError, match="needs"):
        voice.render("poster.making", title="x", other="y")
    assert "「x」" in voice.render("poster.making", title="x")


def test_what_may_be_missing_is_none_and_everything_else_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'x = {text = "{{ a }}{% if b %}!{{ b }}{% endif %}", args = ["a"], maybe = ["b"]}\n')
    voice = Voice(tmp_path)
    assert [voice.render("x", a=1), voice.render("x", a=1, b=2), voice.render("x", a=1, b=None)] == ["1", "1!2", "1"]
    assert (voice.part("x", {"a": 1, "c": 3}), voice.part("x", {"a": 1, "b": 2})) == ("1", "1!2")
    assert (voice.keys(), voice.maybe()) == ({"x": {"a", "b"}}, {"x": {"b"}})
    for wrong in ({"b": 2}, {"a": 1, "c": 3}):
        with pytest.raises(CopyError, match="needs"):
            voice.render("x", **wrong)


FACTS = {"a": [(1, "x"), (2, "y")], "b": {"c": 792, "d": None}, "e": ""}


@pytest.mark.parametrize("written", [
    "plain", "{{ b.c | yuan }}和{{ b['c'] }}", "{% if b.d %}d{% elif e or not a %}e{% else %}{{ a[1][1] }}{% endif %}",
    "{% for n, name in a %}{{ loop.index }}/{{ loop.length }} {{ n }}{{ name }}{% if not loop.last %}、{% endif %}"
    "{% endfor %}", "{% for n in e %}{{ n }}{% else %}nobody{% endfor %}",
    "{{ e }}\n{% if a and b.c > 7 %}\nx\n{% endif %}\n",
    "{% for n, name in a if n > 1 %}{% for one in name %}{{ one }}{{ loop.first }}{{ b.c }}{% endfor %}{% endfor %}",
    "{{ '%s-%s' | format(e, b.c) }}{{ a | length }}{{ [1, 2] | join(',') }}",
])
def test_texts_read_as_jinja_renders_them(tmp_path: Path, written: str) -> None:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(FILTERS)
    named = meta.find_undeclared_variables(environment.parse(written))
    facts = {name: FACTS[name] for name in named}
    (tmp_path / "a.toml").write_text(f"[x]\ntext = {json.dumps(written)}\nargs = {json.dumps(sorted(named))}\n")
    assert Voice(tmp_path).render("x", **facts) == environment.from_string(written).render(facts).strip()


@pytest.mark.parametrize("written", ["{{ b.nothing }}", "{{ b.nothing | yuan }}", "{{ b.nothing.more }}",
                                     "{% if b.nothing %}x{% endif %}", "{% for n in b.nothing %}x{% endfor %}"])
def test_what_a_fact_does_not_hold_is_a_fault(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.toml").write_text(f"[x]\ntext = {json.dumps(written)}\nargs = [\"b\"]\n")
    with pytest.raises((UndefinedError, TypeError)):
        Voice(tmp_path).render("x", b={"c": 1})


def test_facts_are_read_alike_as_objects_and_as_what_json_makes_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('x = {text = "{{ b.days }}{% if b.days > 1 %}s{% endif %}", args = ["b"]}\n')
    voice = Voice(tmp_path)
    facts: list[object] = [timedelta(2), {"days": 2}, timedelta(2)]
    assert [voice.render("x", b=fact) for fact in facts] == ["2s"] * 3
    with pytest.raises(UndefinedError):
        Voice(tmp_path).render("x", b=7)


def test_a_template_cannot_reach_into_python(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('bad = {text = "{{ x.__class__.__mro__ }}", args = ["x"]}\n')
    with pytest.raises(Exception, match="unsafe"):
        Voice(tmp_path).render("bad", x=1)


def calls() -> Iterator[tuple[str, str, frozenset[str] | None]]:
    """(where, key, names of the facts) of every say, ask and render in the handlers that names its key plainly."""
    for path in sorted((ROOT / "handlers").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            first = node.args[0]
            if node.func.attr in {"say", "ask", "render"} and isinstance(first, ast.Constant):
                names = [word.arg for word in node.keywords if word.arg not in {"then", "remember"}]
                facts = None if None in names else frozenset(str(name) for name in names)
                yield f"{path.name}:{node.lineno}", first.value, facts


def test_every_text_that_a_handler_names_exists_with_those_placeholders(voice: Voice) -> None:
    known = voice.keys()
    found = list(calls())
    assert len(found) > 25
    wrong = [(where, key) for where, key, facts in found
             if key not in known or (facts is not None and known[key] != facts)]
    assert wrong == []


def test_every_intent_has_a_name_people_can_read(voice: Voice) -> None:
    intents = load(ASSETS / "intents.toml").intents
    assert [name for name in intents if not voice.has(f"intent.{name}")] == []


def test_fixed_texts_fit_one_message(voice: Voice) -> None:
    fixed = [key for key, facts in voice.keys().items() if not facts]
    assert [key for key in fixed if len(voice.render(key).encode()) > 2048] == []


def refusals() -> Iterator[tuple[str, str, frozenset[str]]]:
    """(where, code, names of the facts) of every refusal that the domain raises with a plain code."""
    for path in sorted((ROOT / "domain").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                first = node.args[0]
                if node.func.id in {"DomainError", "Conflict", "NotFound"} and isinstance(first, ast.Constant):
                    where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
                    yield where, first.value, frozenset(str(word.arg) for word in node.keywords)


def test_a_refusal_brings_every_fact_that_its_text_names(voice: Voice) -> None:
    known = voice.keys()
    found = list(refusals())
    assert len(found) > 20
    assert [one for one in found if not known.get(f"error.{one[1]}", frozenset()) <= one[2]] == []
    assert [one for one in found if one[0].startswith("domain/audit/") and f"error.{one[1]}" not in known] == []


def test_a_refusal_without_a_text_is_told_by_its_code(voice: Voice) -> None:
    assert "「lin」" in voice.explain("operator_unknown", {"name": "lin"})
    assert "no_such_code" in voice.explain("no_such_code", {})
    assert "operator_unknown" in voice.explain("operator_unknown", {})
