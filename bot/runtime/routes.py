"""The URL map, of which is compiled what somebody asks for.

The service has more than two hundred rules, and Werkzeug takes longest of all that an application does at its start to
parse and compare them, and to write and compile two functions a rule for ``url_for``. One process answers callbacks,
which need no rule, another the operators' API: each compiles the rules of the addresses that it is asked for, by their
first segment, and the way back from an endpoint to its address when it is wanted.
"""

import copy
import re
from collections.abc import Callable
from threading import Lock
from typing import Any

from flask import Flask
from werkzeug.routing import Map, Rule
from werkzeug.routing.matcher import StateMachineMatcher

_NAMES = re.compile(r"<(?:[^<>]*:)?(\w+)>")
"""The variables of a rule: ``<name>``, ``<int:number>``."""

_COMPILED = ("_parts", "_trace", "_converters", "_build", "_build_unknown")
"""What ``Rule.compile`` makes."""

_ANY = "<"
"""The place of rules that begin with a variable."""


class LazyRule(Rule):
    """As any rule; it is compiled at the first use of what compiling makes, and so are the functions that build its
    address."""

    def compile(self) -> None:
        """Later. Nothing is left of what an earlier map made of it."""
        self.arguments.update(_NAMES.findall(self.rule))
        for name in _COMPILED:
            self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        if name not in _COMPILED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        made = copy.copy(self)  # another thread that comes meanwhile must not find half of it
        made.arguments = set()
        Rule.compile(made)
        self.__dict__.update({one: made.__dict__[one] for one in _COMPILED})
        return self.__dict__[name]

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        made: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, *args: object, **values: object) -> tuple[str, str]:
            if not made:
                made.append(Rule._compile_builder(self, append_unknown))
            return made[0](rule, *args, **values)

        return build


class _Matcher(StateMachineMatcher):
    """One matcher for each first segment, made when the first address of it is asked for and not changed afterwards:
    those who ask at the same time find it whole or wait for it."""

    def __init__(self, merge_slashes: bool) -> None:
        super().__init__(merge_slashes)
        self._rules: dict[str, list[Rule]] = {}
        self._made: dict[str, StateMachineMatcher] = {}
        self._lock = Lock()

    def add(self, rule: Rule) -> None:
        first = rule.rule.lstrip("/").partition("/")[0]
        self._rules.setdefault(_ANY if _ANY in first else first, []).append(rule)
        self._made.clear()

    def match(self, domain: str, path: str, method: str, websocket: bool) -> Any:
        first = path.lstrip("/").partition("/")[0]
        place = first if first in self._rules else _ANY
        return (self._made.get(place) or self._make(place)).match(domain, path, method, websocket)

    def _make(self, place: str) -> StateMachineMatcher:
        with self._lock:
            if place not in self._made:
                made = StateMachineMatcher(self.merge_slashes)
                for one in dict.fromkeys((place, _ANY)):
                    for rule in self._rules.get(one, ()):
                        made.add(rule)
                made.update()
                self._made[place] = made
            return self._made[place]


class LazyMap(Map):
    """As any map without subdomains and hosts of its own."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._matcher = _Matcher(self.merge_slashes)


class Application(Flask):
    """Flask with these rules and this map."""

    url_rule_class = LazyRule
    url_map_class = LazyMap
