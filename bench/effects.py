"""B10: effects out. Messages that leave for a platform which answers in 50 ms, 32 in flight.

Ours is the whole way of a notice: claimed from the outbox, its journey asked, judged by the notice policy, paid with a
right, the attempt recorded, sent over HTTP by the gateway, and its end recorded. The floor is 32 threads that only post
to the same platform. The peer is one RQ job a message, as RQ's stock SimpleWorker does them.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
import requests
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import text

from bench import servers
from bench.figures import Round, row, taking_turns
from bot.runtime import bootstrap, embedded, settings, work
from domain import migrations

ACCOUNT, APP_ID = "bench", "wxbe00000000000001"
ANSWER_SECONDS = 0.05
IN_FLIGHT = work.NOTICE_THREADS
SECONDS = 3.0
PEOPLE = 4_000
SEND = "/cgi-bin/message/custom/send?access_token=x"
BODY = {"touser": "o1", "msgtype": "text", "text": {"content": "「有机大米」差不多快用完了吧？给您备了一张回购券。"}}

_PERSON = text("""
    with made as (insert into person (joined_at)
                  select :now from generate_series(1, cast(:size as bigint)) returning id),
         named as (insert into identity (person_id, kind, scope, value, seen_at, followed_at)
                   select id, 'openid', :app_id, 'o' || id, :now, :now from made)
    insert into send_right (account, openid, message_left, message_until, tap_left)
    select :account, 'o' || id, 5, :until, 0 from made
""")
_NOTICES = text("""
    insert into outbox (queue, kind, key, person_id, payload, created_at, due_at, expires_at)
    select 'notice', 'notice.text', 'bench:' || :round || ':' || id, id, jsonb_build_object(
               'purpose', 'service', 'key', 'journey.restock.soon', 'account', cast(:account as text), 'facts',
               jsonb_build_object('product', '五常有机大米 5kg')), :now, :now, :until from person
""")
_RIGHTS = text("update send_right set message_left = 5, message_until = :until")


@dataclass
class Shop:
    """A real process of ours with people who may be written to."""

    runtime: bootstrap.Runtime
    port: int
    redis_url: str
    rounds: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def fill(self) -> None:
        """A notice for everybody, and the right to send it."""
        now = self.runtime.clock.now()
        with self.runtime.sessions.begin() as session:
            session.execute(text("delete from outbox"))
            session.execute(_RIGHTS, {"until": now + timedelta(days=2)})
            session.execute(_NOTICES, {"round": str(next(self.rounds)), "account": ACCOUNT, "now": now,
                                       "until": now + timedelta(days=1)})

    def ours(self, seconds: float) -> Round:
        self.fill()
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds and work.fast_round(self.runtime):
            pass
        spent = time.perf_counter() - begun
        with self.runtime.sessions() as session:
            states = dict(session.execute(text("select state, count(*) from outbox group by state")).all())
            faults = session.execute(text("select reason, count(*) from outbox where reason <> '' group by 1")).all()
        if faults:
            raise RuntimeError(f"not everything was sent: {faults}")
        return {"value": states.get("done", 0) / spent}

    def floor(self, seconds: float) -> Round:
        done: list[int] = []
        begun = time.perf_counter()
        threads = [threading.Thread(target=lambda: done.append(_post(self.port, begun + seconds)))
                   for _ in range(IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"value": sum(done) / (time.perf_counter() - begun)}

    def peer(self, seconds: float) -> Round:
        """As many jobs as should take the time, worked off in a burst."""
        connection = redis.Redis.from_url(self.redis_url)
        connection.flushall()
        queue = Queue("bench", connection=connection, serializer=JSONSerializer)
        count = int(seconds / (ANSWER_SECONDS * 1.5))
        for _ in range(count):
            queue.enqueue("bench.effects.post_one", f"http://127.0.0.1:{self.port}{SEND}")
        worker = SimpleWorker([queue], connection=connection, serializer=JSONSerializer)
        begun = time.perf_counter()
        worker.work(burst=True, logging_level="ERROR")
        spent = time.perf_counter() - begun
        connection.close()
        return {"value": count / spent}


def post_one(url: str) -> None:
    """The job of the peer: one message, as a handler would send it."""
    answer = requests.post(url, json=BODY, timeout=8)
    if answer.json()["errcode"]:
        raise RuntimeError(answer.text)


def _post(port: int, until: float) -> int:
    line, count = http.client.HTTPConnection("127.0.0.1", port), 0
    body = json.dumps(BODY)
    while time.perf_counter() < until:
        line.request("POST", SEND, body, {"Content-Type": "application/json"})
        line.getresponse().read()
        count += 1
    line.close()
    return count


@contextmanager
def platform(folder: Path) -> Iterator[int]:
    """The stand-in for the platform, in a process of its own; gives its port."""
    port = embedded.free_port()
    command = [sys.executable, "-m", "bench.peers.platform", str(port), str(ANSWER_SECONDS)]
    with (folder / "platform.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=servers.ROOT, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise servers.CannotMeasure((folder / "platform.log").read_text(errors="replace")[-500:])
        yield port
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


@contextmanager
def shop() -> Iterator[Shop]:
    """Database and cache of our own, the stand-in, and a runtime as a worker has it."""
    with ExitStack() as stack:
        folder = stack.enter_context(servers.home())
        database, cache = embedded.start_postgres(folder), embedded.start_valkey(folder)
        stack.callback(database.stop)
        stack.callback(cache.stop)
        port = stack.enter_context(platform(folder))
        accounts = folder / "accounts.toml"
        accounts.write_text(
            f'[shop]\nname = "bench"\n[wechat.{ACCOUNT}]\napp_id = "{APP_ID}"\napp_secret = "{"0" * 32}"\n'
            f'token = "bench"\nencoding_aes_key = "{"a" * 43}"\noriginal_id = "gh_be0000000001"\napi_base = "http://127.0.0.1:{port}"\n')
        config = settings.load({"HUITOU_HOME": str(folder), "DATABASE_URL": database.url, "REDIS_URL": cache.url,
                                "HUITOU_ACCOUNTS": str(accounts), "HUITOU_SECRET_KEY": "only for the benchmark " * 2,
                                "HUITOU_DEMO": "0"}, folder)
        runtime = bootstrap.build(config)
        stack.callback(runtime.close)
        migrations.upgrade(runtime.engine)
        now = runtime.clock.now()
        with runtime.sessions.begin() as session:
            session.execute(_PERSON, {"now": now, "size": PEOPLE, "app_id": APP_ID, "account": ACCOUNT,
                                      "until": now + timedelta(days=2)})
        runtime.gateways[ACCOUNT].send_text("o1", "so that the token is there")
        yield Shop(runtime, port, cache.url)


def run(rounds: int = 5, seconds: float | None = None) -> list[dict[str, Any]]:
    """Row B10, in messages a second."""
    each = seconds or SECONDS
    with shop() as one:
        one.ours(each / 2)
        taken = taking_turns({"ours": lambda: one.ours(each), "floor": lambda: one.floor(each),
                              "peer": lambda: one.peer(each)}, rounds)
    return [row("B10 effects out", "messages/s", taken, more_is_better=True)]
