"""B1 and B2: the Official Account's callback.

B1: 佣金 by encrypted callback, all the way through the service (verify, decrypt, inbox row, person, wallet, stored
reply, encrypted answer) on a PostgreSQL that really syncs; the floor is a Flask view that does one INSERT + COMMIT on
the same database, the peer WeRoBot in Flask with its default session store and a text of about the same length.
B2: a callback without work (a message that was here before; an event that nobody answers); the floor is a Flask view
that reads the body, the peer wechatpy in Flask doing verify, decrypt, parse.

All servers are granian with one process and sixteen threads (WeRoBot: one, its store takes no more), all asked by the
same load over 16 connections.
"""

import base64
import itertools
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from bench import servers
from bench.figures import Round, row, taking_turns
from bot.runtime import demo_team, embedded
from bot.runtime.bootstrap import ASSETS, connect
from domain import migrations, workflows
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.orders import service as orders
from domain.orders.events import CommerceEvent, parse_event
from domain.people import service as people
from domain.people.rules import IdentityRef

ACCOUNT, APP_ID, ORIGINAL_ID = "bench", "wxbe00000000000001", "gh_be0000000001"
PEPPER = b"only for the benchmark, never real"
PEOPLE = 200
STOCK_PER_SECOND = 5_000
"""Requests made beforehand for each second; more than any server here answers."""
WALLET_TEXT = "💰 我的佣金\n待结算 ¥7.92\n可提现 ¥0.00\n累计 ¥7.92\n预计11月29日到账 ¥7.92\n发送「明细」看每一笔"


@dataclass
class Field:
    """The database and the keys that all sides share, and the servers that run so far."""

    folder: Path
    database: str
    stack: ExitStack
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    aes_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode()[:43])
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def ours(self) -> servers.Web:
        """The service itself, for a shop with one Official Account, not the demo."""
        port, accounts = embedded.free_port(), self.folder / "accounts.toml"
        accounts.write_text(
            f'[shop]\nname = "Bench"\n[wechat.{ACCOUNT}]\napp_id = "{APP_ID}"\napp_secret = "{secrets.token_hex(16)}"\n'
            f'token = "{self.token}"\noriginal_id = "{ORIGINAL_ID}"\nencoding_aes_key = "{self.aes_key}"\n')
        env = {"PORT": str(port), "HOST": "127.0.0.1", "HUITOU_HOME": str(self.folder / "ours"), "WEB_WORKERS": "1",
               "HUITOU_ACCOUNTS": str(accounts), "DATABASE_URL": self.database, "LOG_LEVEL": "warning",
               "WEB_THREADS": str(servers.THREADS)}
        command = [sys.executable, "-m", "bot", "web"]
        return self.stack.enter_context(servers.serving(command, port, env, self.folder, "/healthz"))

    def peer(self, app: str) -> servers.Web:
        """One of the applications of bench.peers.web."""
        port = embedded.free_port()
        env = {"BENCH_APP": app, "BENCH_TOKEN": self.token, "BENCH_AES_KEY": self.aes_key, "BENCH_APP_ID": APP_ID,
               "BENCH_WORDS": WALLET_TEXT, "BENCH_THREADS": str(servers.THREADS),
               "BENCH_DATABASE": self.database.replace("postgresql+psycopg://", "postgresql://")}
        # WeRoBot's store is one SQLite connection: several threads at once make it fail, and do not make it faster.
        command = servers.granian("bench.peers.web:app", port, threads=1 if app == "werobot" else servers.THREADS)
        return self.stack.enter_context(servers.serving(command, port, env, self.folder, "/up"))

    def job(self, kind: str, starts: str, *, repeat: bool = False, seconds: float = 0.0) -> dict[str, Any]:
        """What the load process is told; message ids are new unless ``repeat``."""
        stock = max(64, int(seconds * STOCK_PER_SECOND))
        first = 1 if repeat else 1_000_000 * next(self.ids)
        return {"path": f"/wechat/{ACCOUNT}", "token": self.token, "aes_key": self.aes_key, "app_id": APP_ID,
                "original_id": ORIGINAL_ID, "senders": [openid(n) for n in range(PEOPLE)], "kind": kind,
                "first": first, "repeat": repeat, "starts": starts, "stock": stock}


def openid(number: int) -> str:
    return f"oBench{number:022d}"


def run(
    rounds: int = 5, seconds: float = servers.SECONDS, only: tuple[str, ...] = ("B1", "B2")
) -> list[dict[str, Any]]:
    """Rows B1 and B2. Raises CannotMeasure when the peers are not installed."""
    servers.need_peers()
    with _field() as field:
        ours = field.ours()
        rows = []
        if "B1" in only:
            rows.append(_measure(field, "B1 chat answer", "wallet", rounds, seconds, ours,
                                 ("insert", "success"), ("werobot", "<xml>")))
        if "B2" in only:
            rows += [
                _measure(field, "B2 message that was here before", "wallet", rounds, seconds, ours,
                         ("bare", "success"), ("wechatpy", "success"), repeat=True),
                _measure(field, "B2 event that nobody answers", "view", rounds, seconds, ours,
                         ("bare", "success"), ("wechatpy", "success"), starts="success"),
            ]
        return rows


def _measure(
    field: Field, name: str, kind: str, rounds: int, seconds: float, ours: servers.Web, floor: tuple[str, str],
    peer: tuple[str, str], *, repeat: bool = False, starts: str = "<xml>",
) -> dict[str, Any]:
    """One row: each side answers a little to get warm, then they take turns."""
    with ExitStack() as own:
        others = Field(field.folder, field.database, own, field.token, field.aes_key, field.ids)
        webs = {"ours": (ours, starts), "floor": (others.peer(floor[0]), floor[1]),
                "peer": (others.peer(peer[0]), peer[1])}

        def side(web: servers.Web, starts: str) -> Callable[[], Round]:
            return lambda: servers.press(web, others.job(kind, starts, repeat=repeat, seconds=seconds), seconds)

        for web, right in webs.values():
            servers.press(web, others.job(kind, right, repeat=repeat, seconds=1.0), 0.8)
        taken = taking_turns({name: side(*one) for name, one in webs.items()}, rounds)
    return row(name, "answers/s", taken, more_is_better=True)


@contextmanager
def _field() -> Iterator[Field]:
    """A database that syncs, with people who have earned something; on the core of the load."""
    with servers.home() as folder, ExitStack() as stack:
        with servers.on_core(servers.LOAD_CORE):
            server = embedded.start_postgres(folder)
        stack.callback(server.stop)
        engine = connect(server.url)
        try:
            migrations.upgrade(engine)
            _fill(engine, datetime.now(UTC))
        finally:
            engine.dispose()
        yield Field(folder, server.url, stack)


def _fill(engine: Engine, now: datetime) -> None:
    """PEOPLE followers, each of whom brought somebody who bought something a minute ago."""
    sessions = sessionmaker(engine)
    with sessions.begin() as session:
        demo_team.allow_levels(session, now)
        commissions.ensure_plan(session, plans.load(ASSETS / "plans" / "two-level.toml"), now)
        session.execute(text("create table floor_message (id bigint generated always as identity primary key,"
                             " sender text not null, said text not null)"))
        _bind(session, now)
        events = [parse_event(_order(number, now)) for number in range(PEOPLE)]
        orders.receive(session, "bench", [event for event in events if isinstance(event, CommerceEvent)], now)
    while workflows.apply_events(sessions, now, PEPPER, 100):
        pass
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("vacuum analyze"))


def _bind(session: Session, now: datetime) -> None:
    followers = [[IdentityRef("openid", openid(number), APP_ID)] for number in range(PEOPLE)]
    buyers = [[IdentityRef("mall_user_id", f"m{number}")] for number in range(PEOPLE)]
    found = people.resolve_many(session, followers + buyers, now, pepper=PEPPER)
    for number in range(PEOPLE):
        people.follow(session, followers[number][0], now)
    session.execute(
        text("insert into referral (referee_id, referrer_id, source, bound_at, protected_until, end_reason)"
             " select a, b, 'scan', :at, :at, '' from unnest(cast(:ones as bigint[]), cast(:others as bigint[]))"
             " as t (a, b)"),
        {"at": now - timedelta(days=1), "ones": found[PEOPLE:], "others": found[:PEOPLE]})


def _order(number: int, now: datetime) -> dict[str, Any]:
    line = {"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 1,
            "paid_fen": 9_900}
    paid = {"order_id": f"A{number}", "channel": "mall", "currency": "CNY", "paid_at": now.isoformat(),
            "paid_fen": 9_900, "buyer": {"mall_user_id": f"m{number}"}, "lines": [line]}
    return {"id": f"e{number}", "type": "order.paid", "occurred_at": now.isoformat(), "data": paid}
