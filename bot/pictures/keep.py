"""A small shared memory of finished things: least recently used leaves first, safe between threads."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Kept(Generic[Thing]):
    """At most ``most`` things by key. Two threads that miss together both make it; one result is kept,
    which is harmless because the same key always makes the same thing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: OrderedDict[Hashable, Thing] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """The thing of ``key``, made now if it is not kept. An error of ``make`` passes through."""
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
                return self._things[key]
        made = make()
        with self._lock:
            self._things[key] = made
            while len(self._things) > self._most:
                self._things.popitem(last=False)
        return made

    def __len__(self) -> int:
        return len(self._things)


def fingerprint(data: bytes | None) -> bytes:
    """A short key for picture bytes, b"" for None; the bytes themselves are not kept alive by it."""
    return hashlib.blake2b(data, digest_size=16).digest() if data is not None else b""
