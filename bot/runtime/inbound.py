"""The connections that this process was called on, found in /proc and told apart by how much was written to each.

The web server keeps its sockets to itself: it gives a request neither its connection nor the port it came from. What
was written to a connection can be counted from outside, so an answer of an unusual size shows where it went. Linux
only; anywhere else nothing is found.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

_ACKED_AT = 120
"""Where Linux' tcp_info has ``tcpi_bytes_acked``, 64 bits, since 4.1."""
_INFO_BYTES = _ACKED_AT + 8
_UNSENT = 0x5411
"""SIOCOUTQ (which is TIOCOUTQ): bytes that were written and not yet acknowledged."""

Line = tuple[int, str, int]
"""A descriptor and whoever is at its other end."""


def written(port: int) -> dict[Line, int]:
    """How many bytes were written so far to each connection that came in at ``port``."""
    found = {}
    for number in _numbers():
        with suppress(OSError), _copy(number) as sock:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.getsockname()[1] == port:
                found[_line(number, sock)] = _count(sock)
    return found


def hang_up(port: int, before: Mapping[Line, int], size: int, slack: int, *, wholly: bool) -> int:
    """End the lines to which ``size`` to ``size + slack`` bytes were written since ``before``. Returns how many.

    Nothing more is read from them; with ``wholly`` nothing is written either.
    """
    ended, how = 0, socket.SHUT_RDWR if wholly else socket.SHUT_RD
    for line, count in before.items():
        with suppress(OSError), _copy(line[0]) as sock:
            here = sock.getsockname()[1] == port and _line(line[0], sock) == line
            if here and size <= _count(sock) - count <= size + slack:
                sock.shutdown(how)
                ended += 1
    return ended


def _numbers() -> list[int]:
    if sys.platform != "linux":
        return []
    return [int(name) for name in os.listdir("/proc/self/fd") if _is_socket(name)]


def _is_socket(name: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    except OSError:
        return False


@contextmanager
def _copy(number: int) -> Iterator[socket.socket]:
    """Our own hold of a socket, so that its number cannot become another's while we look. Raises OSError."""
    sock = socket.socket(fileno=os.dup(number))
    try:
        yield sock
    finally:
        sock.close()


def _line(number: int, sock: socket.socket) -> Line:
    peer = sock.getpeername()
    return number, str(peer[0]), int(peer[1])


def _count(sock: socket.socket) -> int:
    import fcntl  # not everywhere, and wanted only here

    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    unsent = struct.unpack("i", fcntl.ioctl(sock, _UNSENT, bytes(4)))[0]
    return int(struct.unpack_from("Q", info, _ACKED_AT)[0]) + int(unsent)
