"""Operators through the API: who one is, who there is, hiring, disabling, new keys."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.audit import queries, service
from domain.audit.queries import OperatorView
from handlers.web.ops.context import NO_SUCH, OWNER, REFUSED, Asked, OpsOperation, shaped

Role = Literal["owner", "finance", "reviewer", "operator"]
_PLACES = (("name", "The operator's name."),)


class Me(Struct):
    """Who is asking."""

    name: str
    role: Role


class Operator(Struct):
    """Somebody who runs the shop."""

    name: str
    role: Role
    has_key: Annotated[bool, Meta(description="An API key was made and still opens.")]
    added_at: datetime
    disabled_at: Annotated[datetime | None, Meta(description="Null while nothing was taken away.")]


class Operators(Struct):
    """First hired first, disabled ones too."""

    operators: list[Operator]


class NewOperator(Struct):
    """Name and role never change, and a name is never given again. Latin letters, digits, Chinese characters, - _ and .
    only; capitals and wide letters are folded."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    role: Role


class NewKey(Struct):
    """A key that nobody can show again."""

    name: str
    key: str


def me(asked: Asked) -> Me:
    return msgspec.convert({"name": asked.actor.name, "role": asked.actor.role}, Me)


def everybody(asked: Asked) -> Operators:
    return Operators([_shape(one) for one in queries.operators(asked.session)])


def add(asked: Asked) -> Operator:
    wanted: NewOperator = asked.body
    added = service.add_operator(asked.session, wanted.name, wanted.role, asked.actor, asked.now)
    return _named(asked, added.name)


def disable(asked: Asked) -> Operator:
    service.disable_operator(asked.session, asked.path["name"], asked.actor, asked.now)
    return _named(asked, service.named(asked.session, asked.path["name"]))


def new_key(asked: Asked) -> NewKey:
    name = asked.path["name"]
    return NewKey(name, service.new_key(asked.session, name, asked.actor, asked.now))


def _named(asked: Asked, name: str) -> Operator:
    return next(_shape(one) for one in queries.operators(asked.session) if one.name == name)


def _shape(view: OperatorView) -> Operator:
    return msgspec.convert(view, Operator, from_attributes=True)


OPERATIONS = (
    OpsOperation("GET", "/me", "getMe", "Operators", "Who am I", "Name and role behind the key.", Me, me),
    OpsOperation("GET", "/operators", "listOperators", "Operators", "Everybody who runs the shop",
                 "First hired first.", Operators, everybody),
    OpsOperation("POST", "/operators", "addOperator", "Operators", "Hire an operator", "They have no key at first.",
                 Operator, add, status=201, body=(NewOperator,), read_body=shaped(NewOperator), roles=OWNER,
                 refusals=(REFUSED,)),
    OpsOperation("POST", "/operators/<name>/disable", "disableOperator", "Operators", "Take an operator's rights away",
                 "For good. One owner with a key always stays.", Operator, disable, roles=OWNER, places=_PLACES,
                 refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/operators/<name>/key", "newOperatorKey", "Operators", "Make a new key",
                 "It is told only here and replaces the one before. Operators make their own, an owner anybody's. Who "
                 "made a colleague's key counts, where two people are needed, as one person with them.",
                 NewKey, new_key, status=201, places=_PLACES, refusals=(NO_SUCH, REFUSED)),
)
