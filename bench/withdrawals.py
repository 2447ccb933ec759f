"""B16: withdrawals, from the request to the money. One worker, one after the other, with real signatures.

Ours is all that a withdrawal of one bill needs: asked and approved with its hold and journal, written down as going
out, signed and sent to WeChat Pay over HTTP, its signed answer verified and written, its signed and sealed notification
taken over our HTTP door, the money booked with its tax. The floor is what no payment can be without: one row inserted
and committed, and one round trip to the same WeChat Pay, which signs its answer for the floor too.
"""

import base64
import http.client
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask.testing import FlaskClient
from sqlalchemy import text

from bench import servers
from bench.figures import Round, row, taking_turns
from bench.peers.pay import signed
from bot.runtime import bootstrap, embedded, settings
from bot.runtime.app import create_app
from bot.runtime.bell import SilentBell
from domain import migrations
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, person, platform
from domain.payouts import service as payouts
from domain.payouts.service import Request
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.clock import FixedClock
from domain.vault import service as vault
from domain.vault.seal import Vault
from domain.workflows import withdrawing
from handlers.jobs import CHORES

APP_ID, MCH_ID, KEY_ID, API_V3_KEY = "wxbe00000000000001", "1900000109", "PUB_KEY_ID_0116000000000000000001", "k" * 32
PEOPLE, FEN, PURSE_FEN = 100, 10_000, 1_000_000
START = datetime(2026, 11, 2, 2, tzinfo=UTC)
DAY = 86_400
TRANSFER = "/v3/fund-app/mch-transfer/transfer-bills"


@dataclass
class Counter:
    """A shop whose people all have money, and the WeChat Pay beside it."""

    runtime: bootstrap.Runtime
    client: FlaskClient
    clock: FixedClock
    key: rsa.RSAPrivateKey
    port: int
    people: list[int]
    rows: int = 0

    def ours(self) -> Round:
        """Everybody withdraws once. A day passes first: nobody may be paid more than so much a day."""
        self.clock.advance(DAY)
        begun = time.perf_counter()
        for n, who in enumerate(self.people):
            with self.runtime.sessions.begin() as session:
                asked = Request(who, FEN, "main", APP_ID, f"o{n}", "bench")
                withdrawing.ask(session, asked, self.clock.now())
        drive = CHORES.get("payouts.drive").work
        while drive(self.runtime.context):
            pass
        spent = time.perf_counter() - begun
        notices = [self._notice(number) for number in self._waiting()]
        begun = time.perf_counter()
        answers = {self.client.post("/pay/main/notify", data=body, headers=headers).status_code
                   for headers, body in notices}
        spent += time.perf_counter() - begun
        if answers != {200} or len(notices) != PEOPLE or self._waiting():
            raise RuntimeError(f"not everybody was paid: {answers}, {len(notices)} of {PEOPLE}")
        return {"value": PEOPLE / spent}

    def floor(self) -> Round:
        line = http.client.HTTPConnection("127.0.0.1", self.port)
        begun = time.perf_counter()
        for _ in self.people:
            self.rows += 1
            with self.runtime.engine.begin() as db:
                db.exec_driver_sql("insert into bench_floor (number, payload) values (%s, %s)",
                                   (self.rows, '{"amount": 10000}'))
            line.request("POST", TRANSFER, json.dumps({"out_bill_no": f"F{self.rows}", "amount": FEN}))
            line.getresponse().read()
        spent = time.perf_counter() - begun
        line.close()
        return {"value": PEOPLE / spent}

    def _waiting(self) -> list[str]:
        with self.runtime.sessions() as session:
            return list(session.scalars(text(
                "select out_bill_no from transfer_bill where state = 'WAIT_USER_CONFIRM' order by id")))

    def _notice(self, number: str) -> tuple[dict[str, str], bytes]:
        """WeChat Pay's news that this bill was paid: made by it, so not on our time."""
        with self.runtime.sessions() as session:
            openid, fen = session.execute(text(
                "select w.openid, b.amount_fen from transfer_bill b join withdrawal w on w.id = b.withdrawal_id"
                " where b.out_bill_no = :number"), {"number": number}).one()
        at = self.clock.now().isoformat()
        bill = {"mch_id": MCH_ID, "out_bill_no": number, "transfer_bill_no": f"1330{number}", "state": "SUCCESS",
                "transfer_amount": fen, "openid": openid, "create_time": at, "update_time": at}
        nonce = secrets.token_hex(6)
        sealed = AESGCM(API_V3_KEY.encode()).encrypt(nonce.encode(), json.dumps(bill).encode(), b"mch_payment")
        body = json.dumps({
            "id": secrets.token_hex(18), "create_time": at, "resource_type": "encrypt-resource",
            "event_type": "MCHTRANSFER.BILL.FINISHED", "summary": "done", "resource": {
                "original_type": "mch_payment", "algorithm": "AEAD_AES_256_GCM", "nonce": nonce,
                "associated_data": "mch_payment", "ciphertext": base64.b64encode(sealed).decode()}}).encode()
        return signed(self.key, KEY_ID, body) | {"Content-Type": "application/json"}, body


def fill(runtime: bootstrap.Runtime, now: datetime) -> list[int]:
    """People who agreed, whose name is known, and who have money."""
    made = []
    with runtime.sessions.begin() as session:
        for n in range(PEOPLE):
            who = people.resolve(session, [IdentityRef("openid", f"o{n}", APP_ID)], now, pepper=runtime.pepper)
            vault.keep(session, runtime.context.tool(Vault), who, "real_name", "张三", now)
            vault.keep(session, runtime.context.tool(Vault), who, "id_number", "11010519491231002X", now)
            payouts.agree(session, who, "bench", "digest", now)
            ledger.post(session, [Entry(f"bench:{n}", "bench.earned", now, "bench", n, "", (
                Move(platform("expense.bonus"), person(who, "available"), PURSE_FEN),))], now)
            made.append(who)
        session.execute(text("create table bench_floor (number bigint primary key, payload jsonb)"))
    return made


@contextmanager
def pay(folder: Path, key: rsa.RSAPrivateKey) -> Iterator[int]:
    """The stand-in for WeChat Pay, in a process of its own; gives its port."""
    port, file = embedded.free_port(), folder / "platform.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    command = [sys.executable, "-m", "bench.peers.pay", str(port), str(file), KEY_ID]
    with (folder / "pay.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=servers.ROOT, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise servers.CannotMeasure((folder / "pay.log").read_text(errors="replace")[-500:])
        yield port
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def _accounts(port: int, key: rsa.RSAPrivateKey) -> str:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return (f'[shop]\nname = "bench"\n[wechat.bench]\napp_id = "{APP_ID}"\napp_secret = "{"0" * 32}"\ntoken = "bench"\n'
            f'encoding_aes_key = "{"a" * 43}"\noriginal_id = "gh_be0000000001"\n'
            f"[pay.main]\nmch_id = \"{MCH_ID}\"\napp_id = \"{APP_ID}\"\nserial_no = \"{'5' * 40}\"\n"
            f"private_key = '''{private}'''\napi_v3_key = \"{API_V3_KEY}\"\npublic_key = '''{public}'''\n"
            f"public_key_id = \"{KEY_ID}\"\napi_base = \"http://127.0.0.1:{port}\"\n")


@contextmanager
def shop() -> Iterator[Counter]:
    """A database of our own (real fsync), the stand-in, and a runtime as web and worker have it."""
    with ExitStack() as stack:
        folder = stack.enter_context(servers.home())
        database = embedded.start_postgres(folder)
        stack.callback(database.stop)
        # Lines are written as in the service, but not between the figures.
        lines = stack.enter_context((folder / "lines.log").open("w", encoding="utf-8"))
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(lines))
        stack.callback(structlog.reset_defaults)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        port = stack.enter_context(pay(folder, key))
        (folder / "accounts.toml").write_text(_accounts(port, key), encoding="utf-8")
        config = settings.load({
            "HUITOU_HOME": str(folder), "DATABASE_URL": database.url, "HUITOU_ACCOUNTS": str(folder / "accounts.toml"),
            "HUITOU_SECRET_KEY": "only for the benchmark " * 2, "HUITOU_DEMO": "0"}, folder)
        clock = FixedClock(START)
        runtime = bootstrap.build(config, clock=clock, bell=SilentBell())
        stack.callback(runtime.close)
        migrations.upgrade(runtime.engine)
        bootstrap.open_shop(runtime)
        yield Counter(runtime, create_app(runtime=runtime).test_client(), clock, key, port,
                      fill(runtime, clock.now()))


def run(rounds: int = 5) -> list[dict[str, Any]]:
    """Row B16, in withdrawals a second."""
    with shop() as one:
        one.ours()
        taken = taking_turns({"ours": one.ours, "floor": one.floor}, rounds)
    return [row("B16 withdrawal", "withdrawals/s", taken, more_is_better=True)]
