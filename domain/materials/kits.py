"""Share kits: light lines and a video for whoever shares a product for the first time. Pure."""

import tomllib
from collections.abc import Iterator
from string import Formatter
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from domain.shared.addresses import LONGEST, fault_of
from domain.shared.records import record

Lines = Annotated[tuple[Annotated[str, Meta(min_length=4, max_length=80)], ...], Meta(min_length=1, max_length=3)]


class Kit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lines with the place {product}; ``video``: an https address, '' for none. ``sku`` or ``category`` say for what.
    """

    lines: Lines
    sku: str = ""
    category: str = ""
    video: Annotated[str, Meta(max_length=LONGEST)] = ""


@record
class Kits:
    """All kits; exactly one is for everything else."""

    by_place: dict[tuple[str, str], Kit]

    def of(self, sku: str, category: str, product: str) -> tuple[tuple[str, ...], str]:
        """(lines with the product's name in them, video address) of the most specific kit."""
        places = (("sku", sku), ("category", category), ("", ""))
        kit = next(self.by_place[place] for place in places if place in self.by_place)
        return tuple(line.replace("{product}", product) for line in kit.lines), kit.video

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of the file. Raises ValueError with every fault."""
        try:
            raw = tomllib.loads(toml)
        except tomllib.TOMLDecodeError as fault:
            raise ValueError(f"share_kits.toml: {fault}") from None
        tables = raw.get("kit", [])
        faults = [f"unknown entry {name!r}" for name in sorted(set(raw) - {"kit"})]
        found: dict[tuple[str, str], Kit] = {}
        for number, table in enumerate(tables if isinstance(tables, list) else [], 1):
            kit, wrong = _kit(table)
            faults += [f"kit {number}: {fault}" for fault in wrong]
            if kit is None:
                continue
            place = ("sku", kit.sku) if kit.sku else ("category", kit.category) if kit.category else ("", "")
            faults += [f"kit {number}: there is one for {' '.join(place) or 'everything else'} already"
                       ] if place in found else []
            found[place] = kit
        faults += [] if ("", "") in found or faults else ["one kit without sku and category is needed"]
        if faults:
            raise ValueError("share_kits.toml: " + "; ".join(faults))
        return cls(found)


def _kit(table: Any) -> tuple[Kit | None, list[str]]:
    try:
        kit = msgspec.convert(table, Kit)
    except msgspec.ValidationError as fault:
        return None, [str(fault)]
    return kit, list(_faults(kit))


def _faults(kit: Kit) -> Iterator[str]:
    if kit.sku and kit.category:
        yield "give sku or category, not both"
    if kit.video and (fault := fault_of(kit.video)):
        yield f"video {fault}"
    for line in kit.lines:
        try:
            names = {name for _, name, _, _ in Formatter().parse(line) if name is not None}
        except ValueError as fault:
            yield f"the line {line!r} has wrong braces: {fault}"
            continue
        yield from (f"unknown place {{{name}}} in {line!r}" for name in sorted(names - {"product"}))
