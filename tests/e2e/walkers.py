"""People who walk through a journey of the running house, and a second clock and worker beside its own.

Its journey waits for a parcel, so that it can be walked in real time: a text, and after the parcel a present and two
texts more.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.house import REPOSITORY, House
from tests.e2e.peer import Phone
from tests.e2e.waiting import until

TEXTS = ("到家了吧", "用了一周", "五位朋友因为您的推荐")
JOURNEY = """
key = "hurried"
title = "快走"
purpose = "service"
on = "line.paid"
run_key = "{order_id}"
holdout = "0%"
[[step]]
id = "one"
say = "journey.care.tutorial"
with = { title = "{event.order_no}", category = "{event.category}" }
[[step]]
id = "parcel"
wait_for = "order.shipped"
match = ["order_id"]
timeout = "1d"
otherwise = "end"
[[step]]
id = "present"
grant = "points"
amount = 7
[[step]]
id = "two"
say = "journey.care.greeting"
with = { title = "{event.order_no}" }
[[step]]
id = "three"
say = "journey.friends.five"
with = { name = "{event.order_no}" }
"""


def publish(house: House) -> None:
    """The journey is live from now on."""
    path = house.home / "hurried.toml"
    path.write_text(JOURNEY, encoding="utf-8")
    for words in (("operator", "add", "lin", "--role", "owner"), ("journey", "publish", str(path), "--as", "lin")):
        done = house.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Twin:
    """A second process of one part, of our own: ``kill()`` it and it is there again."""

    house: House
    words: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> "Twin":
        self.process = subprocess.Popen([sys.executable, "-m", "bot", *self.words], cwd=REPOSITORY,
                                        env=self.house.environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def twins(house: House) -> Iterator[tuple[Twin, Twin]]:
    """A second clock and a second fast worker."""
    pair = Twin(house, ("clock",)).start(), Twin(house, ("worker", "fast")).start()
    try:
        yield pair
    finally:
        for one in pair:
            if one.process is not None and one.process.poll() is None:
                os.kill(one.process.pid, signal.SIGTERM)
                one.process.wait(30)


def told(texts: list[str], order: str) -> list[int]:
    """How often somebody heard each text of their run."""
    return [sum(word in said and order in said for said in texts) for word in TEXTS]


def arrived(house: House, orders: list[str]) -> bool:
    """Whether everybody has come to the end."""
    ended = house.count("enrolment e join journey j on j.id = e.journey_id where j.key = 'hurried'"
                        " and e.state = 'ended' and e.ctx -> 'event' ->> 'order_no' = any(%s)", orders)
    return ended == len(orders)


def check(house: House, orders: dict[str, Phone], texts: dict[str, list[str]]) -> None:
    """Nobody walked twice and nobody was lost: one run, each step once, one present; each text once, or not at all
    where the end of its send was not seen."""
    until(lambda: arrived(house, list(orders)), "everybody has walked to the end", 60, 0.2)
    steps = house.sql("""
        select e.ctx -> 'event' ->> 'order_no', count(distinct e.id), count(*) filter (where v.outcome = 'told'),
               count(distinct v.no) = count(*)
          from enrolment e join journey j on j.id = e.journey_id join step_visit v on v.enrolment_id = e.id
         where j.key = 'hurried' group by 1""")
    assert {row for row in steps if row[0] in orders} == {(order, 1, 3, True) for order in orders}
    presents = house.count("outbox where kind = 'grant.points' and payload ->> 'journey' = 'hurried'"
                           " and state = 'done'")
    lots = house.count("point_lot where cause like 'grant:%%journey:%%' or cause like '%%journey:%%'")
    assert presents == lots >= len(orders)
    for order, phone in orders.items():
        maybe = house.count("outbox where kind = 'notice.text' and payload ->> 'key' like 'journey.%%'"
                            " and payload ->> 'facts' like %s and result ->> 'maybe_sent' = 'true'", f"%{order}%")
        heard = told(texts[phone.openid], order)
        assert max(heard) <= 1 and sum(heard) >= 3 - maybe, (order, heard, maybe)
