"""Through an employee's hands: asked for once, confirmed in WeCom itself, counted only when sent, told by one way only.

WeCom is the simulator in the shop's own process: gateway, tasks, taps and callbacks are the real ones.
"""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.serving import make_server

from bot.simulator import openid_for, unionid_for
from domain.audit.rules import Actor
from domain.journeys.ways import Platform
from domain.notices import broadcasts
from domain.notices import service as notices
from domain.notices.rules import Policy, Purpose
from domain.shared.clock import FixedClock
from domain.shared.wording import Wording
from domain.stafftasks.rules import StaffWay
from domain.workflows import noticing
from domain.workflows.forgetting import Leaver, forget
from tests.fakes.frozen import Frozen
from tests.fakes.shop import Person, Shop

PLENTY = {"said": "周三到货，新米开仓"}
BOSS = Actor("老板", "owner", "cli")


@dataclass
class Street:
    """A shop whose WeCom is the simulator, and people who may have the employee as a contact."""

    shop: Shop

    def sim(self, path: str, **body: Any) -> Any:
        answer = self.shop.client.post(f"/sim{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.get_json()

    def somebody(self, name: str, *, follows: bool = True, staff: bool = True) -> Person:
        """A phone whose windows are closed; with ``staff`` the employee has them."""
        app_id = self.shop.runtime.settings.wechat["demo"].app_id
        openid = openid_for(app_id, name)
        self.sim("/api/people", name=name)
        person = self.shop.people[name] = Person(self.shop, name, openid)
        if follows:
            self.sim("/api/follow", openid=openid)
            self.until("select 1 from identity where value = :v and followed_at is not null", v=openid)
            self.shop.event("customer.upserted", {
                "identities": {**person.identity, "unionid": unionid_for(openid)}, "nickname": name})
        if staff:
            self.sim("/api/wecom/add", openid=openid)
            self.until("select 1 from contact c where (select count(*) from contact) >= :n", n=self._contacts() + 1)
            self.shop.work()
        return person

    def _contacts(self) -> int:
        return len(self.rows("select id from contact"))

    def until(self, query: str, **asked: Any) -> None:
        deadline = time.monotonic() + 30
        while not self.rows(query, **asked):
            assert time.monotonic() < deadline, query
            time.sleep(0.01)

    def rows(self, query: str, **asked: Any) -> list[tuple[Any, ...]]:
        with self.shop.runtime.sessions() as session:
            return [tuple(row) for row in session.execute(text(query), asked)]

    def who(self, person: Person) -> int:
        """Their id; of somebody who follows nobody by what WeCom calls them."""
        return int(self.rows("""
            select person_id from identity where value = :v or value = (
                select external_userid from sim.contacts where openid = :v)""", v=person.openid)[0][0])

    def tell(self, person: Person, key: str = "notices.broadcast", facts: Any = None, *, idem: str = "n",
             purpose: Purpose = "marketing", hours: int = 24) -> None:
        with self.shop.runtime.sessions.begin() as session:
            notices.tell(session, notices.Notice(
                self.who(person), purpose, idem, key, PLENTY if facts is None else facts,
                expires_at=self.shop.clock.now() + timedelta(hours=hours)),
                self.shop.clock.now())
        self.shop.work()

    def asked(self) -> None:
        """The gathering is over, and the employee has their task."""
        self.shop.wait(minutes=11)

    def tasks(self) -> list[dict[str, Any]]:
        """What the employee sees, oldest first."""
        found = self.shop.client.get("/sim/api/wecom").get_json()["corps"][0]["staff"][0]["tasks"]
        return list(reversed(found))

    def taps(self, task: int = 0) -> None:
        """The employee sends it; the service hears of it when it asks."""
        self.sim("/api/wecom/send", msgid=self.tasks()[task]["msgid"])
        self.shop.wait(minutes=3)

    def ended(self, idem: str = "n") -> tuple[str, str, str]:
        """State, reason and way of a notice."""
        return self.rows("select state, reason, coalesce(result ->> 'way', '') from outbox where key = :k",
                         k=f"notice:{idem}")[0]  # type: ignore[return-value]

    def in_wecom(self, person: Person) -> list[str]:
        """What the employee said to somebody, without the welcome."""
        bubbles = self.shop.client.get("/sim/api/feed?after=0").get_json()["bubbles"]
        return [one["body"]["content"] for one in bubbles
                if one["openid"] == person.openid and one["side"] == "staff" and one["body"]["via"] == "mass"]

    def counted(self, person_id: int) -> int:
        """Messages that count against the person's caps."""
        return len(self.rows("select 1 from notice_slot where person_id = :p", p=person_id))

    def why(self, person: Person) -> noticing.Explained:
        tool = self.shop.runtime.context.tool
        with self.shop.runtime.sessions() as session:
            return noticing.explain(session, self.who(person), tool(Policy), tool(Platform), self.shop.clock.now(), 5,
                                    tool(StaffWay))


@pytest.fixture
def street(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Street]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with new_shop.shop(tmp_path, clock, port=port) as shop:
        server = make_server("127.0.0.1", port, shop.client.application, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield Street(shop)
        server.shutdown()
        thread.join()
        server.server_close()


def test_everybody_with_the_same_words_is_one_tap_and_who_left_is_told_apart(street: Street) -> None:
    zhao, qian, sun = street.somebody("赵姐"), street.somebody("钱叔"), street.somebody("孙妹", follows=False)
    street.shop.wait(days=3)
    for one in (zhao, qian, sun):
        street.tell(one, idem=one.name)
    street.tell(sun, "chat.late", {"said": "¥7.92 到账"}, idem="money", purpose="money")
    assert street.ended("money")[:2] == ("refused", "unfollowed")
    assert street.ended("赵姐") == ("waiting", "waits_for_staff", "")
    assert street.tasks() == []
    street.asked()
    task, = street.tasks()
    assert {one["openid"] for one in task["people"]} == {zhao.openid, qian.openid, sun.openid}
    assert street.in_wecom(zhao) == []
    why = street.why(zhao)
    assert why.staff is not None
    assert (why.staff.userid, why.staff.had, why.staff.monthly) == ("xiaozhushou", 1, 4)
    assert [one.state for one in why.staff.tasks] == ["asked"]
    assert (why.notices[0].reason, why.notices[0].ways) == (
        "waits_for_staff", {"custom": "no_right", "subscription": "kind_not_allowed"})

    left = street.who(qian)
    street.sim("/api/wecom/delete", openid=qian.openid)
    street.taps()
    assert street.ended("赵姐") == street.ended("孙妹") == ("done", "", "staff")
    assert street.ended("钱叔")[:2] == ("refused", "not_friend")
    assert [said.splitlines()[0] for said in street.in_wecom(zhao)] == ["周三到货，新米开仓"]
    assert "回复" not in street.in_wecom(zhao)[0]
    assert street.in_wecom(qian) == []
    assert (street.counted(street.who(zhao)), street.counted(left)) == (1, 0)
    assert street.rows("select state, said from staff_task") == [("sent", "")]
    assert street.shop.gateway.sent == []


def test_L7_the_employees_words_hold_the_link_written_out(street: Street) -> None:
    zhao, qian = street.somebody("赵姐"), street.somebody("钱叔")
    street.shop.wait(days=3)
    street.tell(zhao, "journey.restock.out", {"product": "牛奶", "page": "https://mall.example/milk"}, idem="link")
    street.tell(qian, "journey.restock.out", {"product": "牛奶"}, idem="none")
    street.asked()
    street.taps(0)
    street.taps(1)
    said, = street.in_wecom(zhao)
    assert "\n马上下单：https://mall.example/milk\n" in said and "href" not in said
    plain, = street.in_wecom(qian)
    assert "下单：" not in plain and "是不是用完了" in plain


def test_an_open_window_comes_first_and_a_notice_without_words_does_not_leave(street: Street) -> None:
    li = street.somebody("赵姐")
    li.says("你好")
    street.tell(li, idem="open")
    assert street.ended("open")[2] == "custom"
    street.shop.wait(days=4)
    street.tell(li, "journey.at_risk.silent", {}, idem="wordless")
    assert street.ended("wordless")[:2] == ("refused", "kind_not_allowed")
    assert street.rows("select result -> 'ways' ->> 'staff' from outbox where key = 'notice:wordless'") == [
        ("not_for_staff",)]
    assert street.tasks() == []


def test_13_a_task_that_nobody_confirms_is_cancelled_and_counts_for_nothing(street: Street) -> None:
    li = street.somebody("赵姐")
    street.shop.wait(days=3)
    street.tell(li)
    street.asked()
    street.shop.wait(hours=5)
    street.shop.wait(hours=5)
    assert street.tasks()[0]["reminded"] == 1
    assert street.ended()[:2] == ("waiting", "waits_for_staff")
    street.shop.wait(hours=15)
    assert street.ended()[:2] == ("refused", "staff_did_not_send")
    assert street.tasks()[0]["state"] == "cancelled"
    late = street.shop.client.post("/sim/api/wecom/send", json={"msgid": street.tasks()[0]["msgid"]})
    assert late.status_code == 409
    street.shop.wait(hours=2)
    assert street.in_wecom(li) == []
    assert street.counted(street.who(li)) == 0
    street.tell(li, idem="again")
    street.asked()
    street.taps(1)
    assert street.ended("again") == ("done", "", "staff")


def test_13_a_tap_in_the_last_minute_counts_once_and_by_one_way_only(street: Street) -> None:
    li = street.somebody("赵姐")
    street.shop.wait(days=3)
    street.tell(li, hours=6)
    li.says("在吗")
    street.asked()
    street.shop.clock.advance(6 * 3600)
    street.sim("/api/wecom/send", msgid=street.tasks()[0]["msgid"])
    street.shop.wait(minutes=3)
    assert street.ended() == ("done", "", "staff")
    li.says("还在吗")
    street.shop.wait(hours=9)
    assert len(street.in_wecom(li)) == 1
    assert not any("周三到货" in str(one) for one in li.heard)


def test_who_says_no_or_is_erased_while_it_waits_is_left_out_and_the_others_are_asked_for_anew(street: Street) -> None:
    li, wang, sun = street.somebody("赵姐"), street.somebody("钱叔"), street.somebody("孙妹", follows=False)
    street.shop.wait(days=3)
    for one, idem in ((li, "li"), (wang, "wang"), (sun, "sun")):
        street.tell(one, idem=idem)
    street.asked()
    assert len(street.tasks()[0]["people"]) == 3
    erased = street.who(sun)
    with street.shop.runtime.sessions.begin() as session:
        forget(session, Leaver((erased,), (), "孙妹"), street.shop.clock.now())
    li.says("退订")
    street.shop.wait(minutes=3)
    assert street.ended("li")[:2] == ("refused", "no_consent")
    assert street.tasks()[0]["state"] == "cancelled"
    street.asked()
    assert [one["openid"] for one in street.tasks()[1]["people"]] == [wang.openid]
    street.taps(1)
    assert street.ended("wang") == ("done", "", "staff")
    assert (street.in_wecom(li), street.in_wecom(sun), len(street.in_wecom(wang))) == ([], [], 1)
    assert street.rows("select state, reason from outbox where key = 'notice:sun'") == [("refused", "erased")]
    assert street.rows("select left(external_userid, 7), state from staff_task_person where person_id = :erased",
                       erased=erased) == [("erased:", "refused")]
    assert street.rows("select distinct said from staff_task") == [("",)]


def test_a_month_has_room_for_so_many(street: Street) -> None:
    street.shop.runtime.context.tool(StaffWay).monthly["main"] = 1  # type: ignore[index]
    li = street.somebody("赵姐")
    street.shop.wait(days=3)
    for name in ("first", "second"):
        street.tell(li, "journey.care.greeting", {"title": f"{name}袋米"}, idem=name, purpose="service")
    street.asked()
    street.taps()
    assert [street.ended(one)[0] for one in ("first", "second")] == ["done", "waiting"]
    assert street.rows("select reason, result -> 'ways' ->> 'staff' from outbox where key = 'notice:second'") == [
        ("no_right", "staff_cap")]


def test_a_refused_call_is_tried_again_and_a_lost_answer_makes_no_second_task(street: Street) -> None:
    li = street.somebody("赵姐")
    street.shop.wait(days=3)
    street.tell(li)
    for fault, state in (("45009", ("gathering", "back_off:45009")), ("lost", ("asking", "back_off:45009"))):
        street.sim("/api/faults", api="wecom/externalcontact/add_msg_template", fault=fault, next=1)
        street.asked()
        assert street.rows("select state, reason from staff_task") == [state]
        with street.shop.runtime.sessions.begin() as session:
            session.execute(text("delete from platform_hold"))
    street.shop.wait(minutes=3)
    assert len(street.tasks()) == 1
    street.taps()
    assert street.ended() == ("done", "", "staff")
    assert len(street.in_wecom(li)) == 1


def test_a_stopped_broadcast_is_taken_out_of_the_employees_hands(street: Street) -> None:
    street.somebody("孙妹", follows=False)
    with street.shop.runtime.sessions.begin() as session:
        number = broadcasts.start(session, "到货", "周三到货", "", street.shop.runtime.context.tool(Wording), BOSS,
                                  street.shop.clock.now())
    street.shop.wait(minutes=1)
    street.asked()
    assert len(street.tasks()) == 1
    with street.shop.runtime.sessions.begin() as session:
        broadcasts.turn(session, number, "stopped", BOSS, street.shop.clock.now())
    street.shop.wait(minutes=3)
    assert street.tasks()[0]["state"] == "cancelled"
    assert street.rows("select state, reason from outbox where payload ? 'broadcast' and person_id = "
                       "(select person_id from contact)") == [("refused", "stopped")]


def test_the_nurture_of_who_follows_nobody_goes_through_the_employee(street: Street) -> None:
    street.shop.journeys("nurture")
    sun = street.somebody("孙妹", follows=False)
    street.shop.wait(seconds=5)  # somebody follows at this moment: the meeting waits for their name
    street.shop.wait(hours=23)
    street.shop.wait(hours=4)
    street.asked()
    street.taps()
    guide, = street.in_wecom(sun)
    assert "昨天加上了您" in guide
    assert street.rows("select state, result ->> 'way' from outbox where payload ->> 'key' = 'journey.nurture.guide'") \
        == [("done", "staff")]
