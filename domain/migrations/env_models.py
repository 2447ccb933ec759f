"""Imports every room's models, so that ``Base.metadata`` is whole."""

import importlib
import importlib.util
import pkgutil

import domain

for _room in pkgutil.iter_modules(domain.__path__):
    if _room.name == "shared":
        importlib.import_module("domain.shared.outbox")
        importlib.import_module("domain.shared.chores")
    elif _room.ispkg and importlib.util.find_spec(f"domain.{_room.name}.models"):
        importlib.import_module(f"domain.{_room.name}.models")
