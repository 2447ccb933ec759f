"""The specification and the docs page are what the code does: routes, answers, events, examples."""

import copy
import json
import re
from typing import Any

import pytest

from domain.orders.events import PARSERS, CommerceEvent, parse_event
from handlers.web.api import event_shapes, openapi
from handlers.web.api.table import OPERATIONS, PREFIX
from tests.web.json_schema import faults
from tests.web.mall import Mall

SPEC = json.loads(json.dumps(openapi.specification()))
OUTSIDE = {"/api/v1/openapi.json", "/api/docs", "/api/docs/<name>"}


def name_of(kind: str) -> str:
    return "".join(part.title() for part in kind.split("."))


def test_every_route_is_in_the_specification_and_nothing_else(closed: Mall) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in closed.app.url_map.iter_rules() if rule.rule not in OUTSIDE
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    written = {(method.upper(), path) for path, methods in SPEC["paths"].items() for method in methods}
    assert routes == written
    assert len(OPERATIONS) == len(written)


def test_the_specification_is_served_and_closed(closed: Mall) -> None:
    answer = closed.client.get(f"{PREFIX}/openapi.json")
    assert answer.get_json() == SPEC
    assert SPEC["openapi"].startswith("3.1")
    wanted = set(re.findall(r'#/components/schemas/(\w+)', json.dumps(SPEC)))
    assert wanted <= set(SPEC["components"]["schemas"])
    names = [one["operationId"] for methods in SPEC["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))


def test_every_path_parameter_is_declared() -> None:
    for path, methods in SPEC["paths"].items():
        for one in methods.values():
            declared = {parameter["name"] for parameter in one["parameters"] if parameter["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
            assert {"401", "503"} <= set(one["responses"])


def test_every_type_of_event_is_described() -> None:
    assert set(event_shapes.EXAMPLES) == set(PARSERS)
    assert {name_of(kind) for kind in PARSERS} <= set(SPEC["components"]["schemas"])


@pytest.mark.parametrize("kind", PARSERS)
def test_examples_hold_for_the_schema_and_for_the_judge(kind: str) -> None:
    event = event_shapes.example(kind)
    assert faults(event, {"$ref": f"#/components/schemas/{name_of(kind)}"}, SPEC) == []
    assert isinstance(parse_event(event), CommerceEvent)


def members(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        for name, one in value.items():
            found += [(*at, name), *members(one, (*at, name))]
    if isinstance(value, list):
        for n, one in enumerate(value):
            found += members(one, (*at, n))
    return found


@pytest.mark.parametrize("kind", PARSERS)
def test_the_judge_requires_exactly_what_the_schema_requires(kind: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name_of(kind)}"}
    together = {"app_id", "openid", "unionid", "phone", "mall_user_id", "external_userid"}
    for place in members(event_shapes.example(kind)):
        if place[-1] in together:
            continue
        event = copy.deepcopy(event_shapes.example(kind))
        holder = event
        for step in place[:-1]:
            holder = holder[step]
        del holder[place[-1]]
        judged = parse_event(event)
        assert isinstance(judged, CommerceEvent) == (faults(event, schema, SPEC) == []), place


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize("junk", [{}, [], "\x00", 1.5, True, -(10**20), "x" * 1_000])
def test_what_the_schema_refuses_the_judge_refuses(kind: str, junk: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name_of(kind)}"}
    for place in members(event_shapes.example(kind)):
        event = copy.deepcopy(event_shapes.example(kind))
        holder = event
        for step in place[:-1]:
            holder = holder[step]
        holder[place[-1]] = junk
        try:
            refused = faults(event, schema, SPEC) != []
        except ValueError:  # a date that is none
            refused = True
        if refused:
            assert not isinstance(parse_event(event), CommerceEvent), (place, junk)


def test_the_docs_page_needs_nothing_from_outside(closed: Mall) -> None:
    page = closed.client.get("/api/docs")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    text = page.get_data(as_text=True)
    loaded = re.findall(r'(?:src|href)="([^"#][^"]*)"', text)
    assert loaded and all(one.startswith(("/api/", "data:,")) for one in loaded)
    assert not re.search(r"<script(?![^>]*\ssrc=)[^>]*>|\son\w+=|\sstyle=|<style", text)
    for address in loaded:
        if address.startswith("/"):
            assert closed.client.get(address).status_code == 200, address


def test_the_docs_page_shows_every_operation_and_event(closed: Mall) -> None:
    text = closed.client.get("/api/docs").get_data(as_text=True)
    for path, methods in SPEC["paths"].items():
        assert path in text
        for one in methods.values():
            assert f'id="{one["operationId"]}"' in text
    for kind in PARSERS:
        assert f'id="{kind}"' in text
    assert "data[" not in text and "lines[].paid_fen" in text
    assert "<code>paid_fen</code> is the sum" in text and "``" not in text


def test_only_the_two_files_are_served(closed: Mall) -> None:
    for name in ("../api/docs.css", "..%2f..%2fcopy%2flanding.toml", "x", "docs.css.map"):
        assert closed.client.get(f"/api/docs/{name}").status_code == 404
