"""Plain values, hundreds of kinds of them: dataclasses in all that matters, cheap to declare and to make."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots to mypy and to readers. Unguarded at run time, where the guard is four fifths of
    what making one costs.

    The standard library compiles six functions for each class; for hundreds of classes that was a fifth of a process's
    start. Here it compiles the one that is worth it, ``__init__``; the others are the same for all.
    """
    made = dataclass(slots=True, eq=False, repr=False)(cls)
    compared = _values(*(one.name for one in fields(made) if one.compare))  # type: ignore[arg-type]

    def equal(self: Any, other: Any) -> Any:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def number(self: Any) -> int:
        return hash(compared(self))

    for name, method in (("__eq__", equal), ("__hash__", number), ("__repr__", _shown)):
        if name not in cls.__dict__:
            setattr(made, name, method)
    return made


def _values(*names: str) -> Callable[[Any], Any]:
    """What reads the attributes ``names`` off an object, to be compared."""
    return attrgetter(*names) if names else lambda one: ()


@recursive_repr()
def _shown(self: Any) -> str:
    values = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(values)})"
