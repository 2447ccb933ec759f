"""Addresses are found and built as Werkzeug finds and builds them; nothing is compiled before somebody asks for it."""

from functools import partial

import pytest
from flask import Flask, url_for
from werkzeug.routing import Rule

from bot.runtime.routes import Application
from tests.together import at_once

RULES = (("front", "/"), ("paper", "/papers/<int:number>/<path:rest>"), ("papers", "/papers"), ("pages", "/p/<name>/"),
         ("mark", "/mark_<code>.txt"), ("shop", "/<name>"), ("same", "/papers/<int:number>"))


def _app(kind: type[Flask]) -> Flask:
    app = kind("routes", static_folder=None)
    for endpoint, rule in RULES:
        app.add_url_rule(rule, endpoint, lambda endpoint=endpoint, **found: f"{endpoint} {sorted(found.items())}",
                         defaults={"size": 7} if endpoint == "pages" else None,
                         methods=["POST"] if endpoint == "same" else None)
    return app


def _compiled(app: Flask) -> list[str]:
    return [rule.rule for rule in app.url_map.iter_rules() if "_parts" in vars(rule)]


ASKED = [("front", {}), ("front", {"q": "米 5kg"}), ("paper", {"number": 3, "rest": "a/b c"}),
         ("paper", {"number": 3, "rest": "x", "again": [1, 2]}), ("pages", {"name": "李 姐"}),
         ("pages", {"name": "a", "size": 7})]


@pytest.mark.parametrize(("endpoint", "values"), ASKED)
def test_the_address_is_werkzeugs(endpoint: str, values: dict[str, object]) -> None:
    addresses = []
    for app in (_app(Flask), _app(Application)):
        with app.test_request_context():
            addresses.append([url_for(endpoint, **values), url_for(endpoint, **values)])  # type: ignore[arg-type]
    assert addresses[0] == addresses[1]


@pytest.mark.parametrize("path", ["/", "", "//", "/papers", "/papers/", "/papers/3/x/y", "/papers/no/x", "/papers/3",
                                  "//papers//3//x", "/p/a", "/p/a/", "/p//a/", "/mark_7.txt", "/mark", "/shop/more",
                                  "/%E6%9D%8E", "/no/such/place", "/p"])
def test_what_an_address_leads_to_is_werkzeugs(path: str) -> None:
    answers = []
    for app in (_app(Flask), _app(Application)):
        client = app.test_client()
        answers.append([(one.status_code, one.headers.get("Location"), one.headers.get("Allow"), one.data)
                        for one in (client.get(path), client.post(path), client.options(path))])
    assert answers[0] == answers[1]


def test_nothing_is_compiled_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    compile_ = Rule._compile_builder

    def counted(self: Rule, append_unknown: bool = True) -> object:
        made.append(self.rule)
        return compile_(self, append_unknown)

    monkeypatch.setattr(Rule, "_compile_builder", counted)
    app = _app(Application)
    assert _compiled(app) == []
    with app.test_client() as client:
        assert client.get("/papers/3/x").status_code == 200
    assert set(_compiled(app)) == {"/papers/<int:number>/<path:rest>", "/papers", "/papers/<int:number>",
                                   "/mark_<code>.txt", "/<name>"}
    assert made == []
    with app.test_request_context():
        url_for("front")
        url_for("front")
    assert made == ["/"]


def test_a_rule_that_is_added_later_is_found() -> None:
    app = _app(Application)
    app.url_map.update()
    client = app.test_client()
    with app.test_request_context():
        assert app.url_map.bind("here").match("/papers") == ("papers", {})
    app.add_url_rule("/papers/new", "new", lambda: "new")
    assert client.get("/papers/new").data == b"new"


def test_many_who_ask_at_the_same_time_find_the_same() -> None:
    app = _app(Application)

    def ask(path: str) -> tuple[str, bytes]:
        return path, app.test_client().get(path).data.split()[0]

    found = at_once(*(partial(ask, path) for path in ["/papers/3/x", "/papers", "/p/a/", "/"] * 4))
    wanted = {"/papers/3/x": b"paper", "/papers": b"papers", "/p/a/": b"pages", "/": b"front"}
    assert sorted(found) == sorted((path, name) for path, name in wanted.items() for _ in range(4))
