"""The operator API: who may do what, what two people decide, what is logged, and no 5xx for anything sent."""

import json
import re

import pytest
from sqlalchemy import text

from domain.ledger import books
from handlers.web import ops
from handlers.web.ops.table import OPERATIONS
from tests.web.operators import PREFIX, Office

WANTED = {"max_levels": 2, "team_pay": False, "reason": "试点", "warning_read": True}


@pytest.fixture
def office(engine, clock) -> Office:
    return Office(engine, clock)


def path_of(operation) -> str:
    return PREFIX + re.sub(r"<int:\w+>", "1", re.sub(r"<\w+>", "zhou", operation.path))


def test_nothing_opens_without_a_key(office) -> None:
    for operation in OPERATIONS:
        for header in ({}, {"Authorization": "Bearer op_1_x"}, {"Authorization": "Basic bGlu"}, {"Authorization": "x"}):
            answer = office.client.open(path_of(operation), method=operation.method, headers=header)
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "unauthorized")


def test_every_operation_is_closed_to_roles_that_it_does_not_name(office) -> None:
    closed = 0
    for operation in OPERATIONS:
        for role in {"finance", "reviewer", "operator"} - operation.roles:
            answer = office.client.open(path_of(operation), method=operation.method, headers=office.bearer(role))
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "not_permitted")
            closed += 1
    assert closed >= 10


def test_operators_are_hired_given_keys_and_disabled(office) -> None:
    assert office.get("finance", "/me") == {"name": "zhou", "role": "finance"}
    added = office.post("owner", "/operators", {"name": "新人", "role": "operator"}, expect=201)
    assert (added["has_key"], added["disabled_at"]) == (False, None)
    assert office.post("owner", "/operators", {"name": "新人", "role": "owner"}, expect=409)["error"]["code"] == \
        "operator_exists"
    office.keys["new"] = office.post("owner", "/operators/新人/key", expect=201)["key"]
    assert office.get("new", "/me")["name"] == "新人"
    office.post("new", "/operators/lin/key", expect=403)
    assert office.post("owner", "/operators/nobody/disable", expect=404)["error"]["code"] == "operator_unknown"
    assert office.post("owner", "/operators/新人/disable")["disabled_at"]
    office.get("new", "/me", expect=401)
    said = office.post("owner", "/operators/lin/disable", expect=409)["error"]
    assert said["code"] == "last_owner" and "最后一位店主" in said["message"]
    assert {one["name"] for one in office.get("reviewer", "/operators")["operators"]} == {
        "lin", "zhou", "chen", "wu", "新人"}
    acts = [(one["operator"], one["act"]) for one in office.get("owner", "/audit?subject=operator:新人")["events"]]
    assert acts == [("lin", "operator.disable"), ("lin", "operator.key"), ("lin", "operator.add")]


def test_the_owner_reads_the_warning_asks_and_another_agrees(office) -> None:
    assert "第七条" in office.get("owner", "/compliance/levels-warning?levels=2&team=no")["warning"]
    office.post("finance", "/compliance/levels", WANTED, expect=403)
    unread = office.post("owner", "/compliance/levels", WANTED | {"warning_read": False}, expect=422)
    assert unread["error"]["faults"][0]["pointer"] == "/warning_read"
    asked = office.post("owner", "/compliance/levels", WANTED, expect=201)
    assert asked["state"] == "open" and "第七条" in asked["payload"]["warning"]
    assert office.post("owner", "/compliance/levels", WANTED, expect=409)["error"]["code"] == "approval_open"
    number = asked["id"]
    assert office.post("owner", f"/approvals/{number}/approve", {}, expect=403)["error"]["code"] == "second_person"
    assert office.post("reviewer", f"/approvals/{number}/approve", expect=403)["error"]["code"] == "not_permitted"
    done = office.post("finance", f"/approvals/{number}/approve", {"note": "好"})
    assert (done["state"], done["decided_by"], done["note"]) == ("approved", "zhou", "好")
    assert office.get("operator", "/compliance/levels") == {"max_levels": 2, "team_pay": False}
    assert office.post("finance", f"/approvals/{number}/reject", {}, expect=409)["error"]["code"] == "approval_decided"
    assert office.get("operator", "/approvals")["approvals"] == []
    everything = office.get("operator", "/approvals?state=all")["approvals"]
    assert everything == [office.get("operator", f"/approvals/{number}")]
    via = office.rows("select detail ->> 'via' from audit_event where subject = 'approval:1'")
    assert via == [("api",), ("api",)]


def test_a_rejected_act_is_not_done(office) -> None:
    number = office.post("owner", "/compliance/levels", WANTED, expect=201)["id"]
    assert office.post("finance", f"/approvals/{number}/reject", {"note": "不"})["state"] == "rejected"
    assert office.get("owner", "/compliance/levels")["max_levels"] == 1
    assert office.post("owner", "/compliance/levels", WANTED, expect=201)["id"] > number


def test_the_log_is_read_by_pages_and_checked(office) -> None:
    for number in range(60):
        office.post("owner", "/operators", {"name": f"n{number}", "role": "operator"}, expect=201)
    first = office.get("operator", "/audit?act=operator.add")
    second = office.get("operator", f"/audit?act=operator.add&before={first['next_before']}")
    assert (len(first["events"]), len(second["events"]), second["next_before"]) == (50, 14, None)
    assert len({one["id"] for one in first["events"] + second["events"]}) == 64
    report = office.get("finance", "/audit/verify")
    assert (report["sound"], report["sealed"], report["unsealed"]) == (True, 0, 68)


def test_the_regulators_file_is_for_owner_and_finance_and_noted(office) -> None:
    path = "/compliance/export?from=2026-11-01&to=2026-11-30"
    office.get("reviewer", path, expect=403)
    answer = office.client.get(PREFIX + path, headers=office.bearer("finance"))
    assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
    assert answer.data.decode("utf-8-sig").startswith("record,id,at,beneficiary,level")
    assert "commissions-2026-11-01-2026-11-30.csv" in answer.headers["Content-Disposition"]
    noted, = office.get("owner", "/audit?act=export.regulator")["events"]
    assert (noted["operator"], noted["detail"]["from"]) == ("zhou", "2026-11-01")
    for days in ("", "from=2026-11-01", "from=2026-11-02&to=2026-11-01", "from=20261101&to=2026-W01-1",
                 "from=0001-01-01&to=9999-12-31"):
        office.get("owner", f"/compliance/export?{days}", expect=422)


def test_the_books_are_told(office) -> None:
    assert office.get("operator", "/books") == {"recent_at": None, "full_at": None, "stale": False, "faults": []}
    with office.sessions.begin() as session:
        session.execute(text("insert into books_fault (invariant, subject_id, sentence) values ('held', 7, 'wrong')"))
        books.look_at_all(session)
    told = office.get("finance", "/books")
    assert told["full_at"] and [one["sentence"] for one in told["faults"]] == ["wrong"]


NASTY = [
    b"", b"[]", b"{", b"null", b'{"name": 1, "role": "x"}', b'{"name": "\\u0000", "role": "owner"}',
    b'{"name": "a b", "role": "owner"}', b'{"role": "owner"}', b'{"note": 5}', b'{"note": "\\u0000"}',
    b'{"max_levels": 9, "team_pay": 1, "reason": ""}', b'{"max_levels": 1e400}', b"\xff", b'{"a":1,"a":2}',
    b'{"max_levels": 2, "team_pay": true, "reason": "\\u0000", "warning_read": true}', b"x" * 20_000,
]
QUERIES = ["before=x", "before=0", "before=9223372036854775808", "state=x", "levels=9", "team=%00", "subject=%00",
           "operator=%ED%A0%80", "act=%00.", "before=%C2%B2"]


def test_whatever_is_sent_is_refused_and_never_a_fault_of_ours(office) -> None:
    office.post("owner", "/compliance/levels", WANTED, expect=201)
    seen = set()
    for operation in OPERATIONS:
        if operation.method == "POST":
            for body in NASTY:
                answer = office.client.post(path_of(operation), data=body, headers=office.bearer("owner"))
                seen.add(answer.status_code)
                assert answer.status_code < 500, (operation.path, body, answer.text)
        else:
            for query in QUERIES:
                answer = office.client.get(f"{path_of(operation)}?{query}", headers=office.bearer("owner"))
                seen.add(answer.status_code)
                assert answer.status_code < 500, (operation.path, query, answer.text)
    assert {403, 409, 413, 422} <= seen
    for place in ("/approvals/99999999999999999999", "/approvals/0", "/operators/%00/key", "/nothing"):
        office.get("owner", place, expect=405 if "key" in place else 404)


def test_what_would_not_be_read_is_refused_and_named(office) -> None:
    """A page or filter that is passed by in silence shows something else than was asked for: every list says so."""
    for operation in OPERATIONS:
        known = {one.name for one in operation.query}
        for name in {"cursor", "limit", "offset"} - known:
            answer = office.client.open(f"{path_of(operation)}?{name}=0", method=operation.method,
                                        headers=office.bearer("owner"))
            fault, = answer.get_json()["error"]["faults"]
            assert (answer.status_code, fault["pointer"]) == (422, f"/{name}"), operation.path
            assert "is no parameter of this path" in fault["message"] and all(one in fault["message"] for one in known)
        for name in {"limit", "before", "after"} & known if "<" not in operation.path else ():
            for bad in ("x", "-1", "1.5", "99999999999999999999"):
                answer = office.client.open(f"{path_of(operation)}?{name}={bad}", headers=office.bearer("owner"))
                assert (answer.status_code, answer.get_json()["error"]["faults"][0]["pointer"]) == (422, f"/{name}")
    assert [len(office.get("owner", f"/audit?limit={n}")["events"]) for n in (1, 2)] == [1, 2]
    twice = office.get("owner", "/audit?limit=1&limit=2", expect=422)["error"]["faults"]
    assert [(one["pointer"], one["message"]) for one in twice] == [("/limit", "is given twice")]
    for bad in ("0", "501", "abc"):
        office.get("owner", f"/audit?limit={bad}", expect=422)


def test_a_body_that_nobody_reads_is_refused(office) -> None:
    """Who sends a list of people to a path that invites everybody must not believe that it counted."""
    refused = office.post("owner", "/roles/invitations/send", {"people": [1]}, expect=422)["error"]
    assert "takes no body" in refused["faults"][0]["message"]
    assert office.post("owner", "/roles/invitations/send", {}) == {"person_ids": []}
    assert office.post("owner", "/roles/invitations/send") == {"person_ids": []}
    for operation in OPERATIONS:
        if operation.method == "POST" and not operation.read_body:
            answer = office.client.post(path_of(operation), headers=office.bearer("owner"), json={"x": 1})
            assert answer.status_code == 422, operation.path


def test_too_large_a_body_is_refused_everywhere_and_the_specification_says_so(office) -> None:
    for operation in OPERATIONS:
        if operation.method == "POST":
            answer = office.client.post(path_of(operation), headers=office.bearer("owner"), data=b" " * (16 * 1024 + 1))
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (413, "too_large"), operation.path
            assert "event" not in answer.get_json()["error"]["message"]
    for methods in ops.specification()["paths"].values():
        for method, one in methods.items():
            assert ("413" in one["responses"]) == (method == "post"), one["operationId"]


def test_the_specification_is_what_the_routes_are(office) -> None:
    spec = office.client.get(f"{PREFIX}/openapi.json").get_json()
    assert spec == json.loads(json.dumps(ops.specification()))
    routes = {(method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
              for rule in office.app.url_map.iter_rules() if not rule.rule.endswith("openapi.json")
              for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert routes == {(method.upper(), path) for path, methods in spec["paths"].items() for method in methods}
    names = [one["operationId"] for methods in spec["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(spec))) <= set(spec["components"]["schemas"])
    for path, methods in spec["paths"].items():
        for one in methods.values():
            assert {p["name"] for p in one["parameters"] if p["in"] == "path"} == set(re.findall(r"{(\w+)}", path))
            assert {"401", "403", "503"} <= set(one["responses"])
