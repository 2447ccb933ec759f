"""A database whose machine vanished without a word: how long the kernel is told to wait for a sign of it."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from bot.runtime import bootstrap

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux knows such a limit")


def carry(source: socket.socket, target: socket.socket) -> None:
    while chunk := source.recv(65_536):
        target.sendall(chunk)
    target.shutdown(socket.SHUT_WR)


@pytest.fixture
def over_tcp(database_url: str) -> Iterator[str]:
    """The test's database by an address of the network: one connection is carried to its socket."""
    near = make_url(database_url)
    folder = near.query["host"]
    assert isinstance(folder, str)
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket(socket.AF_UNIX) as database:

        def serve() -> None:
            caller, _ = door.accept()
            with caller:
                database.connect(f"{folder}/.s.PGSQL.{near.port or 5432}")
                back = threading.Thread(target=carry, args=(database, caller))
                back.start()
                carry(caller, database)
                back.join()

        carrier = threading.Thread(target=serve)
        carrier.start()
        far = near.set(host="127.0.0.1", port=door.getsockname()[1], query={})
        yield far.render_as_string(hide_password=False)
        carrier.join()


def test_nobody_waits_a_quarter_of_an_hour_for_a_host_that_vanished(over_tcp: str) -> None:
    engine = bootstrap.connect(over_tcp, pool_size=1, max_overflow=0)
    with engine.connect() as held:
        assert held.scalar(text("select 1")) == 1
        assert held.connection.driver_connection is not None
        with socket.socket(fileno=os.dup(held.connection.driver_connection.fileno())) as line:
            def told(option: int) -> int:
                return line.getsockopt(socket.IPPROTO_TCP, option)

            assert told(socket.TCP_USER_TIMEOUT) == 10_000, "milliseconds for what was sent"
            silent = told(socket.TCP_KEEPIDLE) + told(socket.TCP_KEEPINTVL) * told(socket.TCP_KEEPCNT)
            assert silent == 14, "seconds for an answer that does not come; a host that lives says so in between"
    engine.dispose()
