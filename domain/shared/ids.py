"""Unguessable short codes for people to type and machines to carry."""

import secrets

ALPHABET = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
"""56 characters: digits and letters without 0 1 l o O I, which people confuse."""


def short_code(length: int) -> str:
    """A random code of ``length`` characters from a CSPRNG (5.8 bits a character)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
