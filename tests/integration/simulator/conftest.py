"""A simulator with its echo service on a database of its own, and a client that plays the service's gateway."""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text

from bot.runtime import embedded
from tests.integration.simulator.echo import ACCOUNT, CORP, Server

_numbers = itertools.count(1)


@contextmanager
def new_database(postgres: embedded.Server) -> Iterator[str]:
    """An empty database: a simulator makes its own tables."""
    name = f"sim{os.getpid()}_{next(_numbers)}"
    admin = create_engine(postgres.url.replace("/huitou?", "/postgres?"), isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        db.execute(text(f"create database {name} template template0"))
    yield postgres.url.replace("/huitou?", f"/{name}?")
    with admin.connect() as db:
        db.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


@pytest.fixture(scope="session")
def sim_home(postgres: embedded.Server) -> Iterator[str]:
    """The database of the simulators that want a fresh one each."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture
def sim_database(sim_home: str) -> str:
    """The database with nothing in it."""
    engine = create_engine(sim_home)
    with engine.begin() as db:
        found = db.execute(text("select tablename from pg_tables where schemaname = 'sim'")).scalars().all()
        if found:
            db.execute(text("truncate " + ", ".join(f"sim.{name}" for name in found)))
    engine.dispose()
    return sim_home


class Client:
    """Talks to both doors of the simulator: the page's API and the platform's."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.echo = server.echo
        self.times = server.times
        self.http = requests.Session()
        self.http.trust_env = False
        self._token = ""

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(f"{self.server.url}/sim{path}", params=query, timeout=10).json()

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.http.post(f"{self.server.url}/sim{path}", json=body, timeout=10)

    def act(self, path: str, **body: Any) -> Any:
        """A POST to the page's API that must succeed."""
        response = self.post(path, **body)
        assert response.ok, response.text
        return response.json()

    def person(self, name: str = "李姐", *, follows: bool = True) -> str:
        """A new person's openid. A follower's welcome has been shown before this returns."""
        openid: str = self.act("/api/people", name=name)["openid"]
        if follows:
            self.act("/api/follow", openid=openid)
            self.wait(lambda: self.said(openid))
        return openid

    def known(self, name: str, *, follows: bool = True) -> str:
        """The openid of this name, who is made if nobody has it yet."""
        found = [one["openid"] for one in self.get("/api/feed", after=0)["people"] if one["name"] == name]
        return str(found[0]) if found else self.person(name, follows=follows)

    def bubbles(self, openid: str) -> list[dict[str, Any]]:
        return [one for one in self.get("/api/feed", after=0)["bubbles"] if one["openid"] == openid]

    def said(self, openid: str, side: str = "account") -> list[str]:
        """Texts of one side of a chat, oldest first."""
        return [one["body"].get("content", one["kind"]) for one in self.bubbles(openid) if one["side"] == side]

    def token(self) -> str:
        if not self._token:
            answer = self.call("stable_token", token="", grant_type="client_credential", appid=ACCOUNT.app_id,
                               secret=ACCOUNT.app_secret)
            self._token = answer["access_token"]
        return self._token

    def raw(self, api: str, body: bytes | None = None, *, method: str = "POST", token: str | None = None,
            query: dict[str, str] | None = None, **rest: Any) -> requests.Response:
        token = self.token() if token is None else token
        params = {**({"access_token": token} if token else {}), **(query or {})}
        return self.http.request(method, f"{self.server.url}/sim/weixin/cgi-bin/{api}", params=params, data=body,
                                 timeout=10, **rest)

    def call(self, api: str, *, token: str | None = None, **body: Any) -> Any:
        """A JSON call to the platform's API."""
        return self.raw(api, json.dumps(body, ensure_ascii=False).encode(), token=token).json()

    def send_text(self, openid: str, content: str = "你好") -> int:
        """errcode of a customer-service text."""
        answer = self.call("message/custom/send", touser=openid, msgtype="text", text={"content": content})
        return int(answer["errcode"])

    def upload(self, content: bytes, *, kind: str = "image", name: str = "media") -> Any:
        files = {name: ("poster.jpg", content, "image/jpeg")}
        return self.raw("media/upload", query={"type": kind}, files=files).json()

    def scene(self, scene: str = "r.k7Qm2x", seconds: int = 600) -> Any:
        return self.call("qrcode/create", action_name="QR_STR_SCENE", expire_seconds=seconds,
                         action_info={"scene": {"scene_str": scene}})

    def wait(self, check: Callable[[], Any], seconds: float = 30.0) -> Any:
        """The first true answer of ``check``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = check()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError("it did not happen in time")


@pytest.fixture
def server(sim_database: str) -> Iterator[Server]:
    server = Server(sim_database)
    yield server
    server.stop()


@pytest.fixture
def sim(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.http.close()


@pytest.fixture
def hasty(sim_database: str) -> Iterator[Client]:
    """A platform without patience: tries start a second apart, for tests about second and third tries."""
    server = Server(sim_database, callback_timeout=1.0)
    client = Client(server)
    yield client
    client.http.close()
    server.stop()


@pytest.fixture(scope="session")
def calm(postgres: embedded.Server) -> Iterator[Client]:
    """One simulator for all tests that are only refused: nothing they do leaves a trace."""
    with new_database(postgres) as url:
        server = Server(url, corps=(CORP,))
        client = Client(server)
        yield client
        client.http.close()
        server.stop()
