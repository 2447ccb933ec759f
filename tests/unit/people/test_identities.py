"""Identities as values, and the plan of who is whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.people.rules import STRENGTH, IdentityRef, Key, key, phone_e164, plan
from domain.shared.errors import DomainError

PEPPER = b"sixteen bytes or more"


@pytest.mark.parametrize(("written", "meant"), [
    ("13812345678", "+8613812345678"),
    (" 138-1234-5678 ", "+8613812345678"),
    ("+86 138 1234 5678", "+8613812345678"),
    ("008613812345678", "+8613812345678"),
    ("8613812345678", "+8613812345678"),
    ("１３８１２３４５６７８", "+8613812345678"),
    ("+852 9123 4567", "+85291234567"),
])
def test_phones_in_every_spelling(written: str, meant: str) -> None:
    assert phone_e164(written) == meant


@pytest.mark.parametrize("written", ["", "138****5678", "1381234567", "12812345678", "+8612345", "+86 10 6552 9988",
                                     "٠١٢٣٤٥٦٧٨٩٠", "13812345678x", "+0123456789"])
def test_what_cannot_be_a_phone(written: str) -> None:
    with pytest.raises(DomainError) as refusal:
        IdentityRef("phone", written)
    assert refusal.value.code == "identity.invalid" and "5678" not in str(refusal.value)


@pytest.mark.parametrize(("kind", "value", "scope"), [
    ("openid", "o1", ""), ("openid", "", "wx1"), ("openid", "o 1", "wx1"), ("openid", "o" * 129, "wx1"),
    ("unionid", "u1", "wx1"), ("mall_user_id", " ", ""), ("mall_user_id", "a\nb", ""), ("phone", "13812345678", "x"),
    ("telegram", "t", ""), ("openid", "o1", "w" * 129), ("external_userid", "wm\u200b1", "ww1"),
])
def test_what_cannot_be_an_identity(kind: str, value: str, scope: str) -> None:
    with pytest.raises(DomainError):
        IdentityRef(kind, value, scope)  # type: ignore[arg-type]


def test_a_short_pepper_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        key(IdentityRef("phone", "13812345678"), b"short")


def test_two_accounts_of_one_app_are_never_joined_by_a_phone() -> None:
    phone, first, second = ("phone", "", "h"), ("openid", "wx", "o1"), ("openid", "wx", "o2")
    both_known = plan([[second, phone]], {phone: 1, first: 1, second: 2}, {1: [first], 2: [second]})
    assert (both_known.mains, both_known.merges, both_known.conflicts) == ([2], [], [(2, 1)])
    new_account = plan([[second, phone]], {phone: 1, first: 1}, {1: [first]})
    assert (new_account.mains, new_account.owners, new_account.conflicts) == ([-1], {second: -1}, [(1, -1)])
    other_app = plan([[("openid", "wx-mini", "o9"), phone]], {phone: 1, first: 1}, {1: [first]})
    assert (other_app.mains, other_app.conflicts) == ([1], [])


def test_a_refused_merge_leaves_the_group_with_its_strongest_identity() -> None:
    weak, strong = ("mall_user_id", "", "m"), ("openid", "wx", "o")
    planned = plan([[weak, strong]], {weak: 1, strong: 2}, {2: [strong]})
    assert (planned.mains, planned.merges) == ([2], [(2, 1)])


_keys = st.tuples(st.sampled_from(STRENGTH), st.just(""), st.sampled_from("abc"))
_groups = st.lists(st.lists(_keys, min_size=1, max_size=4, unique_by=lambda k: k[0]), min_size=1, max_size=6)


@given(_groups, st.dictionaries(_keys, st.integers(1, 4), max_size=6))
def test_plans_are_whole(groups: list[list[Key]], known: dict[Key, int]) -> None:
    """Every group has a person, every unknown identity an owner, and nobody gets two accounts of one place."""
    accounts: dict[int, list[Key]] = {}
    held: dict[tuple[int, str], str] = {}
    clean = {k: p for k, p in known.items() if held.setdefault((p, k[0]), k[2]) == k[2]}
    for k, person in clean.items():
        if k[0] not in ("phone", "mall_user_id"):
            accounts.setdefault(person, []).append(k)
    planned = plan(groups, clean, accounts)
    assert len(planned.mains) == len(groups)
    assert planned.owners.keys() == {k for group in groups for k in group} - clean.keys()
    root: dict[int, int] = {}

    def find(person: int) -> int:
        return person if person not in root else find(root[person])

    for one, other in planned.merges:
        if find(one) != find(other):
            root[find(one)] = find(other)
    places: dict[tuple[int, str], set[str]] = {}
    for k, person in [*clean.items(), *planned.owners.items()]:
        if k[0] in ("openid", "unionid", "external_userid"):
            places.setdefault((find(person), k[0]), set()).add(k[2])
    assert all(len(values) == 1 for values in places.values())
