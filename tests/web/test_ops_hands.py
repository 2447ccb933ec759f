"""One owner alone passes no rule of two people, whatever names and keys they make; and no two names look alike."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.audit import service as audit
from domain.audit.rules import Actor
from tests.integration.money.world import Shop
from tests.integration.risk.world import of_one_level
from tests.web.operators import Office

LEVELS = {"max_levels": 2, "team_pay": False, "warning_read": True, "reason": "试试"}


@pytest.fixture
def shop(engine, clock) -> Shop:
    return of_one_level(engine, clock)


@pytest.fixture
def office(shop, engine, clock) -> Office:
    return Office(engine, clock)


def hired(office: Office, name: str, role: str, by: str = "owner") -> None:
    """Hired through the API, and given a key that ``by`` sees."""
    office.post(by, "/operators", {"name": name, "role": role}, expect=201)
    office.keys[name] = office.post(by, f"/operators/{name}/key", expect=201)["key"]


def asked(office: Office, shop: Shop, act: str) -> int:
    """An owner's request that needs another person; its approval."""
    if act == "freeze":
        path, body = f"/risk/people/{shop.people['李姐']}/freeze", {"reason": "举报"}
    else:
        path, body = "/compliance/levels", LEVELS
    return int(office.post("owner", path, body, expect=201)["id"])


@pytest.mark.parametrize("act", ["freeze", "levels"])
def test_a_mule_says_no_second_yes(office, shop, act) -> None:
    hired(office, "mule", "owner")
    number = asked(office, shop, act)
    said = office.post("mule", f"/approvals/{number}/approve", expect=403)["error"]
    assert said["code"] == "one_hand" and "lin" in said["message"]
    office.keys["mule"] = office.post("mule", "/operators/mule/key", expect=201)["key"]
    assert office.post("mule", f"/approvals/{number}/approve", expect=403)["error"]["code"] == "one_hand", \
        "its own key was made with the one that lin saw"
    hired(office, "second", "owner", by="mule")
    assert office.post("second", f"/approvals/{number}/approve", expect=403)["error"]["code"] == "one_hand"
    assert office.get("owner", f"/approvals/{number}")["state"] == "open"
    right = "reviewer" if act == "freeze" else "finance"
    assert office.post(right, f"/approvals/{number}/approve")["state"] == "approved"


def test_a_colleagues_key_that_was_made_anew_is_no_second_person(office, shop) -> None:
    office.keys["stolen"] = office.post("owner", "/operators/chen/key", expect=201)["key"]
    number = asked(office, shop, "freeze")
    assert office.post("stolen", f"/approvals/{number}/approve", expect=403)["error"]["code"] == "one_hand"
    back = office.post("stolen", f"/risk/people/{shop.people['小王']}/freeze", {"reason": "x"}, expect=201)["id"]
    assert office.post("owner", f"/approvals/{back}/approve", expect=403)["error"]["code"] == "one_hand", \
        "nor the other way round"


def test_a_key_made_at_the_terminal_frees_and_is_written_down(office, shop) -> None:
    hired(office, "mule", "reviewer")
    number = asked(office, shop, "freeze")
    with office.sessions.begin() as session:
        itself = Actor("mule", "reviewer", via="cli:root")
        office.keys["mule"] = audit.new_key(session, "mule", itself, office.clock.now())
    assert office.post("mule", f"/approvals/{number}/approve")["state"] == "approved"
    made = [(one["operator"], one["detail"]) for one in office.get("owner", "/audit?subject=operator:mule")["events"]
            if one["act"] == "operator.key"]
    assert len({detail.pop("key") for _, detail in made}) == 2, "how each key's hash begins"
    assert made == [("mule", {"via": "cli:root"}), ("lin", {"hand": "lin", "via": "api"})]


def test_the_database_takes_no_yes_of_the_same_hand(office, shop) -> None:
    hired(office, "mule", "reviewer")
    number = asked(office, shop, "freeze")
    with pytest.raises(DBAPIError, match="one hand"), office.engine.begin() as db:
        db.execute(text("update approval set state = 'approved', decided_by = 'mule', decided_at = asked_at"
                        " where id = :id"), {"id": number})


@pytest.mark.parametrize("name", ["Lin", "LIN", "ＬＩＮ", "ｌｉｎ"])
def test_names_that_look_alike_are_one(office, name) -> None:
    said = office.post("owner", "/operators", {"name": name, "role": "owner"}, expect=409)["error"]
    assert said["code"] == "operator_exists"


@pytest.mark.parametrize("name", ["<script>", "lіn", "a b", "a/b", "l\u200bin", "''", "李\u202e四"])
def test_names_of_strange_letters_are_refused(office, name) -> None:
    assert office.post("owner", "/operators", {"name": name, "role": "owner"},
                       expect=409)["error"]["code"] == "operator_name"


def test_a_name_is_kept_in_one_spelling(office) -> None:
    added = office.post("owner", "/operators", {"name": "Zhao.Ａ_1", "role": "finance"}, expect=201)
    assert added["name"] == "zhao.a_1"
    assert office.post("owner", "/operators/ZHAO.a_1/disable")["name"] == "zhao.a_1"
    with pytest.raises(DBAPIError, match="another spelling"), office.engine.begin() as db:
        db.execute(text("insert into operator (name, role, added_at) values ('Boss', 'owner', now())"))


def test_an_owner_who_cannot_act_does_not_count_as_one_who_stays(office) -> None:
    office.post("owner", "/operators", {"name": "paper", "role": "owner"}, expect=201)
    assert office.post("owner", "/operators/lin/disable", expect=409)["error"]["code"] == "last_owner"
    office.keys["paper"] = office.post("owner", "/operators/paper/key", expect=201)["key"]
    assert office.post("owner", "/operators/lin/disable")["disabled_at"]
    assert office.get("paper", "/me")["role"] == "owner"
