"""Journeys, experiments, notices and segments through the operator API."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from bot.runtime import embedded
from domain.insight import service as insight
from domain.journeys import service as journeys
from domain.journeys.runs import Event
from domain.people import service as people
from domain.shared.clock import FixedClock
from domain.workflows import walk_journeys
from tests.conftest import MORNING, fresh_database
from tests.integration.people.crowd import PEPPER, openid
from tests.web.operators import SEGMENTS, Office

TEXT = "journey.care.greeting"
FORM = {
    "key": "hello", "title": "问候", "on": "person.followed", "reentry": "after_exit", "holdout": "0%",
    "purpose": "service",
    "step": [{"id": "which", "if": "event.first", "then": "soon", "else": "end"},
             {"id": "soon", "wait": "2h"},
             {"id": "say", "say": TEXT, "with": {"title": "大米"}},
             {"id": "gift", "grant": "coupon:x", "cost_fen": 300}]}
EXPERIMENT = {"key": "words", "title": "两种说法", "surface": "copy", "min_people": 2,
              "goal": {"metric": "order", "within_days": 7},
              "arms": [{"name": "warm", "weight": 50}, {"name": "plain", "weight": 50}],
              "guards": [{"metric": "unfollow", "worse_by": 300}]}


@pytest.fixture(scope="module")
def office(postgres: embedded.Server) -> Iterator[Office]:
    with fresh_database(postgres) as url:
        engine: Engine = create_engine(url)
        yield Office(engine, FixedClock(MORNING))
        engine.dispose()


def follower(office: Office, name: str) -> int:
    with office.sessions.begin() as session:
        found = people.resolve(session, [openid(name)], MORNING, pepper=PEPPER)
        people.follow(session, openid(name), MORNING)
        return found


def test_a_journey_from_a_draft_to_its_funnel(office: Office) -> None:
    assert office.post("operator", "/journey-drafts/validate", {"document": FORM}) == {"faults": []}
    bad = FORM | {"on": "person.sneezed", "step": [{"id": "say", "say": "no.such.text"}]}
    faults = office.post("operator", "/journey-drafts/validate", {"document": bad})["faults"]
    assert any("person.sneezed" in one for one in faults) and any("no.such.text" in one for one in faults)
    deep: list[object] = []
    for _ in range(400):
        deep = [deep]
    assert office.post("operator", "/journey-drafts/validate", {"document": FORM | {"when": deep}})["faults"]
    office.post("finance", "/journeys", {"document": FORM}, expect=403)
    office.post("operator", "/journeys", {"document": bad}, expect=422)
    tried = office.post("operator", "/journeys", {"document": FORM, "dry_run": True})
    assert (tried["version"], tried["dry_run"]) == (1, True) and office.get("finance", "/journeys") == {"journeys": []}
    assert office.post("operator", "/journeys", {"document": FORM})["changed"] is True
    assert office.get("finance", "/journeys/hello")["document"]["step"][1]["id"] == "soon"
    person = follower(office, "li")
    with office.sessions.begin() as session:
        event = Event("person.followed", "e1", person, MORNING, {"first": True})
        assert journeys.happened(session, [event], MORNING) == 1
    from domain.journeys.library import Library

    walk_journeys(office.sessions, Library(), MORNING)
    assert office.get("finance", "/journeys")["journeys"][0]["open"] == 1
    funnel = office.get("finance", "/journeys/hello/stats?days=5")
    assert funnel["entered"] == 1 and [one["step"] for one in funnel["steps"] if one["waiting"]] == ["soon"]
    gone = FORM | {"step": [FORM["step"][0] | {"then": "say"}, *FORM["step"][2:]]}  # type: ignore[index]
    assert "soon" in str(office.post("operator", "/journeys", {"document": gone}, expect=422))
    assert office.post("operator", "/journeys", {"document": gone, "moves": {"soon": "end"}})["moving"] == 1
    for act, state in (("pause", "paused"), ("resume", "live"), ("drain", "draining"), ("archive", "archived")):
        assert office.post("operator", f"/journeys/hello/{act}", {"why": "试"})["state"] == state
    office.post("operator", "/journeys/hello/pause", {"why": "试"}, expect=409)
    office.post("operator", "/journeys/nobody/pause", {"why": "试"}, expect=404)
    acts = [one["act"] for one in office.get("owner", "/audit?subject=journey:hello")["events"]]
    assert acts == ["journey.archive", "journey.drain", "journey.resume", "journey.pause", "journey.publish",
                    "journey.publish"]
    assert "person.followed" in {one["event"] for one in office.get("reviewer", "/journey-words")["events"]}
    assert office.get("reviewer", "/journey-runs/parked") == {"parked": []}
    assert office.post("operator", "/journey-runs/retry", {"run_ids": [1]}) == {"retried": 0}


def test_it_is_tried_on_one_person_and_on_the_past(office: Office) -> None:
    person = follower(office, "wang")
    seen = office.post("finance", "/journey-trials/person", {
        "person_id": person, "document": FORM, "event": {"first": True}})
    assert (seen["enters"], seen["end"]) == (True, "finished")
    said = [line["said"] for line in seen["lines"] if line["said"]]
    assert len(said) == 1 and "「大米」用了一周" in said[0]
    for wrong in ({"event": {"first": 3}}, {"event": {"second": True}}, {"assume": {"no.fact": 1}},
                  {"happens": ["nowhere"]}, {"key": "hello"}):
        office.post("finance", "/journey-trials/person", {"person_id": person, "document": FORM, **wrong}, expect=422)
    office.post("finance", "/journey-trials/person", {"person_id": 10**9, "document": FORM}, expect=404)
    past = office.post("finance", "/journey-trials/past", {"document": FORM, "people": 50, "days": 3})
    assert past["entered"] == past["events"] >= 1 and past["cost_fen"] == 300 * past["grants"].get("coupon:x", 0)
    office.post("finance", "/journey-trials/past", {"key": "nobody"}, expect=404)
    office.post("finance", "/journey-trials/past", {"document": FORM, "people": 5_000}, expect=422)


def test_an_experiment_from_its_document_to_its_end(office: Office) -> None:
    office.post("reviewer", "/experiments", {"document": EXPERIMENT}, expect=403)
    wrong = EXPERIMENT | {"arms": [{"name": "one", "weight": 1}]}
    assert "arms" in str(office.post("operator", "/experiments", {"document": wrong}, expect=422))
    assert office.post("operator", "/experiments", {"document": EXPERIMENT}, expect=201)["state"] == "draft"
    assert office.post("operator", "/experiments/words/start")["state"] == "running"
    office.post("operator", "/experiments/words/start", expect=409)
    assert office.post("operator", "/experiments/words/weigh", {"weights": {"warm": 9, "plain": 1}})["weights"] == {
        "warm": 9, "plain": 1}
    office.post("operator", "/experiments/words/weigh", {"weights": {"warm": 9}}, expect=409)
    read = office.get("finance", "/experiments/words/result")
    assert (read["verdict"], [arm["name"] for arm in read["arms"]]) == ("too_early", ["warm", "plain"])
    assert read["arms"][1]["difference"]["low"] is None and read["arms"][1]["guards"][0]["broken"] is False
    done = office.post("operator", "/experiments/words/adopt", {"arm": "plain", "why": "卖得好"})
    assert (done["state"], done["winner"]) == ("adopted", "plain")
    assert [one["key"] for one in office.get("finance", "/experiments")["experiments"]] == ["words"]
    office.get("finance", "/experiments/nothing/result", expect=404)


def test_notices_are_explained_and_stopped_for_everybody(office: Office) -> None:
    person = follower(office, "zhao")
    assert office.post("operator", "/notices/off", {"purpose": "marketing", "why": "价格写错"})["on"] is False
    told = office.get("finance", f"/notices/people/{person}?limit=5")
    assert told["now"]["marketing"]["reason"] == "switched_off" and told["now"]["service"]["reason"] != "switched_off"
    status = office.get("finance", "/notices/status")
    assert [(one["purpose"], one["stopped_by"]) for one in status["off"]] == [("marketing", "wu")]
    assert office.post("operator", "/notices/on", {"purpose": "marketing"})["on"] is True
    assert office.get("finance", "/notices/status")["off"] == []
    office.get("finance", "/notices/people/999999", expect=404)
    office.post("operator", "/notices/off", {"purpose": "answer", "why": "x"}, expect=422)


def test_segments_are_counted_and_tags_put_by_hand(office: Office) -> None:
    person = follower(office, "sun")
    with office.sessions.begin() as session:
        insight.rebuild(session, SEGMENTS, 0, MORNING)
    assert office.post("operator", f"/segments/people/{person}/tag", {"tag": "老客"})["changed"] is True
    assert office.post("operator", f"/segments/people/{person}/tag", {"tag": "老客"})["changed"] is False
    standing = office.get("finance", f"/segments/people/{person}")
    assert (standing["segment"], standing["tags"]) == ("visitor", ["老客"])
    every = office.get("finance", "/segments")
    assert every["last_people"] >= 1 and "老客" in {one["key"] for one in every["tags"]}
    assert {one["title"] for one in every["segments"]} == {"未下单"}
    assert office.post("operator", f"/segments/people/{person}/tag", {"tag": "老客", "remove": True})["changed"] is True
    office.post("operator", f"/segments/people/{person}/tag", {"tag": " x"}, expect=422)
    office.post("finance", f"/segments/people/{person}/tag", {"tag": "x"}, expect=403)
