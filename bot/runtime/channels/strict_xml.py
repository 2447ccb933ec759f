"""Reads the small XML dialect of the platforms' callbacks, and nothing more of XML than that.

UTF-8 only, no DTD, no entities but XML's own five, no attributes, comments or processing instructions, no
mixed content, at most 6 levels and 200 elements. One pass of expat, or of a pattern for what is flat; never opens a
file or a socket.
"""

import re
from typing import TypeAlias
from xml.parsers import expat

from bot.runtime.channels.faults import Unusable

MAX_BYTES = 64 * 1024
MAX_DEPTH = 6
MAX_ELEMENTS = 200

Value: TypeAlias = "str | Node | list[str | Node]"
Node: TypeAlias = dict[str, Value]

# Expat runs on to the end of its input after a handler raised, so a DTD has to be kept from it, not reported
# by it. A DTD can only stand before the root element: what must come first is fixed here, byte by byte.
_OPENING = re.compile(
    r"(?:<\?xml[ \t\r\n]+version=(?:\"1\.0\"|'1\.0')"
    r"(?:[ \t\r\n]+encoding=(?:\"[Uu][Tt][Ff]-8\"|'[Uu][Tt][Ff]-8'))?"
    r"(?:[ \t\r\n]+standalone=(?:\"(?:yes|no)\"|'(?:yes|no)'))?[ \t\r\n]*\?>)?[ \t\r\n]*<xml>"
)

# A document of leaves and nothing else, each a CDATA section or plain characters: nearly all that the platforms send.
# No part of it can be read in two ways, so nothing is ever tried twice. Only single characters are repeated
# possessively: before 3.11.5 Python matched groups wrongly that way (gh-106052), and Debian 12 has 3.11.2.
_LEAF = (r"[ \t\n]*+<(?P<tag>[A-Za-z_][A-Za-z0-9_]*+)>"
         r"(?:<!\[CDATA\[(?P<section>[^\]]*+(?:\](?!\]>)[^\]]*+)*)\]\]>|(?P<plain>[^<>&]*+))</(?P=tag)>")
_FLAT = re.compile(rf"<xml>(?:{_LEAF})*[ \t\n]*+</xml>[ \t\n]*+").fullmatch
_LEAVES = re.compile(_LEAF).findall
# What XML does not take, or reads as something else (\r): control characters; U+FFFE and U+FFFF, by their first bytes.
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n"))
_LAST_OF_THE_PLANE = b"\xef\xbf"


def parse(data: bytes) -> Node:
    """The children of the root ``<xml>``: leaf -> text as written, branch -> dict, repeated -> list.

    A tag directly below the root may not repeat. Raises Unusable naming the fault; no other exception.
    """
    if len(data) > MAX_BYTES:
        raise Unusable("xml: too large")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unusable("xml: is not UTF-8") from None
    if (leaves := _flat(data, text)) is not None:
        return leaves
    if not _OPENING.match(text):
        raise Unusable("xml: does not open with a plain <xml>")
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.CommentHandler = builder.refuse_comment
    parser.ProcessingInstructionHandler = builder.refuse_instruction
    try:
        parser.Parse(text, True)
    except expat.ExpatError as fault:
        raise Unusable(f"xml: {expat.ErrorString(fault.code)}") from None
    return builder.root


def _flat(data: bytes, text: str) -> Node | None:
    """The leaves of a flat document, None for any other, and for all that is at fault: expat looks at those. It calls
    back three times an element, which costs four times as much as this."""
    if len(data.translate(None, _CONTROLS)) < len(data) or _LAST_OF_THE_PLANE in data or not _FLAT(text):
        return None
    found = _LEAVES(text, len("<xml>"))
    leaves: Node = {tag: section or plain for tag, section, plain in found}
    return leaves if len(leaves) == len(found) < MAX_ELEMENTS else None


def each(value: "Value | None") -> list[str | Node]:
    """What may repeat, as a list: nothing -> [], one -> [one], many -> as they are."""
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


class _Builder:
    """Collects one document. A frame is the children of an open element; its text waits beside it."""

    __slots__ = ("_elements", "_frames", "_texts", "root")

    def __init__(self) -> None:
        self.root: Node = {}
        self._frames: list[Node] = []
        self._texts: list[str] = []
        self._elements = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise Unusable("xml: too many elements")
        if len(self._frames) >= MAX_DEPTH:
            raise Unusable("xml: too deep")
        if attributes:
            raise Unusable("xml: has attributes")
        self._frames.append({} if self._frames else self.root)
        self._texts.append("")

    def characters(self, text: str) -> None:
        self._texts[-1] += text

    def end(self, tag: str) -> None:
        children = self._frames.pop()
        text = self._texts.pop()
        if (children or not self._frames) and text.strip(" \t\r\n"):
            raise Unusable("xml: text between elements")
        if self._frames:
            self._attach(tag, children or text)

    def _attach(self, tag: str, value: str | Node) -> None:
        siblings = self._frames[-1]
        known = siblings.get(tag)
        if known is None:
            siblings[tag] = value
        elif siblings is self.root:
            raise Unusable("xml: a tag appears twice")
        elif isinstance(known, list):
            known.append(value)
        else:
            siblings[tag] = [known, value]

    def refuse_comment(self, _text: str) -> None:
        raise Unusable("xml: has a comment")

    def refuse_instruction(self, _target: str, _data: str) -> None:
        raise Unusable("xml: has a processing instruction")
