"""Incidents of the payment channel through the operator API: one person explains, another agrees, money flows again."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from domain.audit.models import AuditEvent
from domain.paychannel.service import Difference
from domain.payouts import queries, reconcile
from domain.shared import chores
from handlers.jobs import CHORES
from handlers.web.ops.pay import COMPARISON
from tests.web.operators import Office


@pytest.fixture
def office(engine, clock) -> Office:
    return Office(engine, clock)


def test_an_incident_is_shown_explained_and_agreed_to(office: Office) -> None:
    found = Difference("line_without_bill", "F-1", date(2026, 11, 19), None, 4_000)
    with office.sessions.begin() as session:
        assert reconcile.halt(session, "main", [found], office.clock.now()) == 1
    told = office.get("operator", "/pay/status")
    (incident,) = told["incidents"]
    assert told["stopped"] and incident["theirs_fen"] == 4_000 and "¥40.00" in incident["text"]
    path = f"/pay/incidents/{incident['id']}/explain"
    office.post("reviewer", path, {"why": "it was me"}, expect=403)
    office.post("operator", path, {"why": "x"}, expect=422)
    office.post("operator", "/pay/incidents/999/explain", {"why": "restored"}, expect=404)
    asked = office.post("operator", path, {"why": "restored from yesterday's backup"})
    office.post("operator", path, {"why": "once more"}, expect=409)
    office.post("operator", f"/approvals/{asked['id']}/approve", {"note": "me too"}, expect=403)
    office.post("finance", f"/approvals/{asked['id']}/approve", {"note": "seen"})
    assert office.get("finance", "/pay/status")["incidents"] == []
    with office.sessions() as session:
        assert queries.switch(session).stopped_at is None
    office.post("operator", path, {"why": "too late"}, expect=409)


def test_the_comparison_is_asked_for_and_done_by_the_worker(office: Office) -> None:
    later = office.clock.now() + timedelta(minutes=20)
    with office.sessions.begin() as session:
        chores.plan(session, {COMPARISON: later})
    office.post("reviewer", "/pay/reconcile", expect=403)
    office.post("finance", "/pay/reconcile", expect=202)
    with office.sessions.begin() as session:
        assert CHORES.get(COMPARISON), "it names a chore that there is"
        assert chores.claim(session, [COMPARISON], office.clock.now(), 60) == [COMPARISON]
        assert session.scalars(select(AuditEvent.act).where(AuditEvent.act == "pay.reconcile")).all()
