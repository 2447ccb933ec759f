"""Rules of the URL map whose way back, from an endpoint to its address, is made when somebody asks for it.

Werkzeug writes, parses and compiles two functions a rule for ``url_for``. The service has about 130 rules, asks for the
address of a dozen, and had spent more of its start on these functions than on everything else in the application.
"""

from collections.abc import Callable

from werkzeug.routing import Rule


class LazyRule(Rule):
    """As any rule; the functions that build its address are compiled at their first use."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        made: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, *args: object, **values: object) -> tuple[str, str]:
            if not made:
                made.append(Rule._compile_builder(self, append_unknown))
            return made[0](rule, *args, **values)

        return build
