"""Identities become persons: once each, whoever asks, however many at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from sqlalchemy import Engine, event, func, select, text
from sqlalchemy.orm import Session

from domain.people import queries, service
from domain.people.models import Identity, Person
from tests.conftest import MORNING
from tests.integration.people.crowd import PEPPER, mall, openid, phone


def count(session: Session, table: type[Person] | type[Identity]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_one_identity_is_one_person(session: Session) -> None:
    first = service.resolve(session, [openid("o1")], MORNING, pepper=PEPPER)
    again = service.resolve(session, [openid("o1")], MORNING + timedelta(days=1), pepper=PEPPER)
    other_app = service.resolve(session, [openid("o1", "wx0000000000000002")], MORNING, pepper=PEPPER)
    assert first == again != other_app
    seen = session.scalar(select(Identity.seen_at).where(Identity.person_id == first))
    assert seen == MORNING + timedelta(days=1)
    view = queries.person(session, first)
    assert view is not None and (len(view.referral_code), view.nickname, view.joined_at) == (8, "", MORNING)


def test_twenty_threads_see_one_new_openid(engine: Engine) -> None:
    start = Barrier(20)

    def chat(_: int) -> int:
        with Session(engine) as session:
            start.wait()
            person = service.resolve(session, [openid("same")], MORNING, pepper=PEPPER)
            session.commit()
            return person

    with ThreadPoolExecutor(20) as pool:
        people = set(pool.map(chat, range(20)))
    with Session(engine) as session:
        assert (len(people), count(session, Person), count(session, Identity)) == (1, 1, 1)


def test_batches_and_chats_race_for_the_same_newcomers(engine: Engine) -> None:
    start = Barrier(6)

    def batch(worker: int) -> list[int]:
        groups = [[openid(f"o{n}"), mall(f"m{n}"), phone(f"138000000{n:02d}")] for n in range(40)]
        order = groups if worker % 2 else groups[::-1]
        with Session(engine) as session:
            start.wait()
            if worker < 3:
                people = service.resolve_many(session, order, MORNING, pepper=PEPPER)
                session.commit()
            else:
                people = []
                for group in order:
                    people.append(service.resolve(session, group[:1], MORNING, pepper=PEPPER))
                    session.commit()
            return people if worker % 2 else people[::-1]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(batch, range(6)))
    with Session(engine) as session:
        living = queries.survivors(session, {person for answer in answers for person in answer})
        assert len({tuple(living[person] for person in answer) for answer in answers}) == 1
        assert count(session, Identity) == 120


def test_a_group_of_known_identities_costs_one_statement(session: Session, engine: Engine) -> None:
    groups = [[openid(f"o{n}"), mall(f"m{n}")] for n in range(50)]
    people = service.resolve_many(session, groups, MORNING, pepper=PEPPER)
    session.commit()
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    assert service.resolve_many(session, groups, MORNING, pepper=PEPPER) == people
    assert len(said) == 1 and len(set(people)) == 50


def test_phones_are_stored_hashed_and_meet_in_any_spelling(session: Session) -> None:
    spellings = ["138 1234 5678", "+86-13812345678", "008613812345678", "８６１３８１２３４５６７８"]
    people = {service.resolve(session, [phone(s)], MORNING, pepper=PEPPER) for s in spellings}
    other = service.resolve(session, [phone("13812345678")], MORNING, pepper=b"another pepper, also for tests")
    dump = " ".join(str(row) for row in session.execute(text("select * from identity")))
    assert len(people) == 1 and other not in people and "1381234" not in dump
    assert queries.find(session, phone("13812345678"), pepper=PEPPER) in people
    assert "138" not in repr(phone("13812345678"))


def test_new_identities_join_the_person_who_is_known(session: Session) -> None:
    known = service.resolve(session, [openid("o1")], MORNING, pepper=PEPPER)
    groups = [[mall("m1"), openid("o1")], [mall("m2")], [phone("13812345678"), mall("m1")]]
    assert service.resolve_many(session, groups, MORNING, pepper=PEPPER)[::2] == [known, known]
    assert queries.find(session, phone("13812345678"), pepper=PEPPER) == known
