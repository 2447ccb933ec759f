"""Reads single fields of a parsed callback: text, number, branch. What is missing or odd raises Unusable by name."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from bot.runtime.channels.faults import Unusable
from bot.runtime.channels.strict_xml import Node

USER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
INTEGER = re.compile(r"[0-9]{1,20}")
DECIMAL = re.compile(r"-?[0-9]{1,7}(?:\.[0-9]{1,20})?")
LAST_SECOND = 4_102_444_799
"""The end of the year 2099: a stamp beyond it is a fault, not a date."""
LAST_ID = 2**64 - 1

Names = tuple[tuple[str, str], ...]
"""The platform's tags and what we call them."""


def stamp(message: Node) -> datetime:
    """When the platform says it happened (whole seconds, UTC)."""
    return datetime.fromtimestamp(integer(message, "CreateTime", LAST_SECOND), UTC)


def user_name(message: Node, tag: str) -> str:
    """An openid or original id: 1..64 ASCII letters, digits, '_' and '-'. Raises Unusable."""
    name = leaf(message, tag)
    if not USER_NAME.fullmatch(name):
        raise Unusable(f"{tag} is not a user name")
    return name


def pick(node: Node, names: Names) -> dict[str, str]:
    return {name: text for tag, name in names if (text := leaf(node, tag))}


def leaf(node: Node, tag: str) -> str:
    value = node.get(tag, "")
    if not isinstance(value, str):
        raise Unusable(f"{tag} is not a text")
    return value


def required(node: Node, tag: str) -> str:
    if tag not in node:
        raise Unusable(f"{tag} is missing")
    return leaf(node, tag)


def branch(node: Node, tag: str) -> Node:
    value = node.get(tag, "")
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and not value.strip():
        return {}
    raise Unusable(f"{tag} is not a branch")


def integer(node: Node, tag: str, highest: int) -> int:
    """A whole number of ASCII digits from 1 to ``highest``."""
    text = leaf(node, tag)
    number = int(text) if INTEGER.fullmatch(text) else 0
    if not 1 <= number <= highest:
        raise Unusable(f"{tag} is not a number in range")
    return number


def decimal(node: Node, tag: str, limit: int = 10**7) -> str:
    """A decimal number from -``limit`` to ``limit``, kept as the text it is."""
    text = leaf(node, tag)
    if not DECIMAL.fullmatch(text) or abs(Decimal(text)) > limit:
        raise Unusable(f"{tag} is not a number in range")
    return text
