"""Following, unfollowing and profiles: late, repeated and same-second events included."""

from datetime import date
from itertools import permutations

import pytest
from sqlalchemy.orm import Session

from domain.people import queries, service
from domain.people.rules import IdentityRef
from domain.shared.errors import NotFound
from tests.integration.people.crowd import APP, PEPPER, day, mall, openid

OTHER_APP = "wx0000000000000002"


def test_a_life_of_following(session: Session) -> None:
    first = service.follow(session, openid("o1"), day(0))
    assert first.first and queries.openid_of(session, first.person_id, APP) == "o1"
    assert service.unfollow(session, openid("o1"), day(1)) == first.person_id
    assert queries.openid_of(session, first.person_id, APP) is None
    again = service.follow(session, openid("o1"), day(2))
    assert again == service.Follow(first.person_id, False)
    assert queries.openid_of(session, first.person_id, APP) == "o1"
    assert queries.openid_of(session, first.person_id, OTHER_APP) is None


def test_events_in_any_order_end_the_same(session: Session) -> None:
    for n, order in enumerate(permutations([("follow", 0), ("unfollow", 1), ("follow", 2)])):
        for what, at in order:
            getattr(service, what)(session, openid(f"o{n}"), day(at))
        person = service.resolve(session, [openid(f"o{n}")], day(3), pepper=PEPPER)
        assert queries.openid_of(session, person, APP) == f"o{n}", order
        for what, at in [("unfollow", 5), ("follow", 4), ("unfollow", 1)]:
            getattr(service, what)(session, openid(f"o{n}"), day(at))
        assert queries.openid_of(session, person, APP) is None


def test_in_one_second_the_later_arrival_counts(session: Session) -> None:
    person = service.follow(session, openid("o1"), day(0)).person_id
    service.unfollow(session, openid("o1"), day(0))
    assert queries.openid_of(session, person, APP) is None
    service.follow(session, openid("o1"), day(0))
    assert queries.openid_of(session, person, APP) == "o1"


def test_first_is_asked_of_the_person_and_not_of_the_account(session: Session) -> None:
    union = IdentityRef("unionid", "u1")
    person = service.resolve(session, [openid("o1"), union], day(0), pepper=PEPPER)
    assert service.resolve(session, [openid("x1", OTHER_APP), union], day(0), pepper=PEPPER) == person
    assert service.follow(session, openid("o1"), day(0)).first
    assert not service.follow(session, openid("x1", OTHER_APP), day(1)).first
    contact = IdentityRef("external_userid", "wm1", "ww1")
    assert service.resolve(session, [contact, union], day(2), pepper=PEPPER) == person
    assert not service.follow(session, contact, day(2)).first
    assert queries.find(session, contact, pepper=PEPPER) == person
    with pytest.raises(ValueError, match="follow"):
        service.follow(session, mall("m1"), day(0))


def test_whoever_writes_is_following(session: Session) -> None:
    """People who followed before the service was installed, and unfollows whose counterpart was lost."""
    person = service.resolve(session, [openid("o1")], day(0), pepper=PEPPER)
    assert queries.openid_of(session, person, APP) is None
    service.resolve(session, [openid("o1")], day(0), pepper=PEPPER, wrote=True)
    assert queries.openid_of(session, person, APP) == "o1"
    service.unfollow(session, openid("o1"), day(1))
    service.resolve(session, [openid("o1")], day(0.5), pepper=PEPPER, wrote=True)
    assert queries.openid_of(session, person, APP) is None
    service.resolve(session, [openid("o1")], day(2), pepper=PEPPER, wrote=True)
    assert queries.openid_of(session, person, APP) == "o1"


def test_profiles(session: Session) -> None:
    person = service.resolve(session, [openid("o1")], day(0), pepper=PEPPER)
    service.set_profile(session, person, nickname=" 李姐\n👩‍👩‍👧\u202e ", avatar_url="https://wx.qlogo.cn/1",
                        phone_verified_at=day(1))
    service.set_profile(session, person, birthday=date(1990, 2, 28), phone_verified_at=day(2))
    view = queries.person(session, person)
    assert view is not None
    assert (view.nickname, view.avatar_url, view.birthday) == ("李姐👩‍👩‍👧", "https://wx.qlogo.cn/1", date(1990, 2, 28))
    assert view.phone_verified_at == day(1)
    with pytest.raises(NotFound):
        service.set_profile(session, 99_999, nickname="x")
    assert queries.person(session, 99_999) is None


def test_a_name_that_nobody_could_see_is_none(session: Session) -> None:
    """Texts then say 好友 and leave no empty place."""
    person = service.resolve(session, [openid("o1")], day(0), pepper=PEPPER)
    for blank in ("\u3164", "\u200b\u200d", "\u2800 \u2800", "\u2060\ufe0f", "\u0301", "\ufeff", "\U000e0020"):
        service.set_profile(session, person, nickname="李姐")
        service.set_profile(session, person, nickname=blank)
        view = queries.person(session, person)
        assert view is not None and view.nickname == "", ascii(blank)
