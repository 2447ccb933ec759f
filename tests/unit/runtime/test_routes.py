"""Addresses are built as Werkzeug builds them, when they are asked for."""

import pytest
from flask import Flask, url_for
from werkzeug.routing import Rule

from bot.runtime.routes import LazyRule


def _app(kind: type[Rule]) -> Flask:
    app = Flask("routes", static_folder=None)
    app.url_rule_class = kind
    for endpoint, rule in (("front", "/"), ("paper", "/papers/<int:number>/<path:rest>"), ("pages", "/p/<name>/")):
        app.add_url_rule(rule, endpoint, lambda **_: "", defaults={"size": 7} if endpoint == "pages" else None)
    return app


ASKED = [("front", {}), ("front", {"q": "米 5kg"}), ("paper", {"number": 3, "rest": "a/b c"}),
         ("paper", {"number": 3, "rest": "x", "again": [1, 2]}), ("pages", {"name": "李 姐"}),
         ("pages", {"name": "a", "size": 7})]


@pytest.mark.parametrize(("endpoint", "values"), ASKED)
def test_the_address_is_werkzeugs(endpoint: str, values: dict[str, object]) -> None:
    addresses = []
    for app in (_app(Rule), _app(LazyRule)):
        with app.test_request_context():
            addresses.append([url_for(endpoint, **values), url_for(endpoint, **values)])  # type: ignore[arg-type]
    assert addresses[0] == addresses[1]


def test_no_address_is_made_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    compile_ = Rule._compile_builder

    def counted(self: Rule, append_unknown: bool = True) -> object:
        made.append(self.rule)
        return compile_(self, append_unknown)

    monkeypatch.setattr(Rule, "_compile_builder", counted)
    app = _app(LazyRule)
    with app.test_client() as client:
        assert client.get("/papers/3/x").status_code == 200
    assert made == []
    with app.test_request_context():
        url_for("front")
        url_for("front")
    assert made == ["/"]
