"""The menu below the chat: read from assets/menus, checked against the platform's limits at start-up."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domain.shared.records import record

TOP, SUB = 3, 5
TOP_BYTES, SUB_BYTES, KEY_BYTES = 16, 60, 128


@record
class Menu:
    """``intents``: what a tap on each key means. ``platform``: the body of menu/create."""

    intents: Mapping[str, str]
    platform: dict[str, Any]


def load_menu(path: Path) -> Menu:
    """Read a menu file. Raises ValueError with every fault at once."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    buttons = raw.get("button", [])
    faults = list(_faults(buttons))
    if faults:
        raise ValueError(f"{path.name}: " + "; ".join(faults))
    entries = [entry for button in buttons for entry in button.get("sub", [button])]
    return Menu({entry["key"]: entry["intent"] for entry in entries if "intent" in entry},
                {"button": [_button(button) for button in buttons]})


def _button(button: dict[str, Any]) -> dict[str, Any]:
    if "sub" in button:
        return {"name": button["name"], "sub_button": [_button(entry) for entry in button["sub"]]}
    if "url" in button:
        return {"type": "view", "name": button["name"], "url": button["url"]}
    return {"type": "click", "name": button["name"], "key": button["key"]}


def _faults(buttons: list[dict[str, Any]]) -> Iterator[str]:
    if not 1 <= len(buttons) <= TOP:
        yield f"a menu has 1 to {TOP} buttons, not {len(buttons)}"
    seen: set[str] = set()
    for button in buttons:
        yield from _entry_faults(button, TOP_BYTES, seen)
        subs = button.get("sub", [])
        if len(subs) > SUB:
            yield f"{button.get('name')}: at most {SUB} entries, not {len(subs)}"
        for entry in subs:
            yield from _entry_faults(entry, SUB_BYTES, seen)


def _entry_faults(entry: dict[str, Any], name_bytes: int, seen: set[str]) -> Iterator[str]:
    name = entry.get("name", "")
    if not 0 < len(name.encode()) <= name_bytes:
        yield f"{name!r}: a name has 1 to {name_bytes} bytes"
    if "sub" in entry:
        return
    if ("url" in entry) == ("key" in entry):
        yield f"{name!r}: has either a key or a url"
    key = entry.get("key", "")
    if len(key.encode()) > KEY_BYTES:
        yield f"{name!r}: a key has at most {KEY_BYTES} bytes"
    if key and key in seen:
        yield f"{key}: stands twice"
    seen.add(key)
