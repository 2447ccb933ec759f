"""Topics through the API: open, announce, read, pick, close."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.insight.rules import Segmentation
from domain.points.rules import PointRules
from domain.shared.wording import Wording
from domain.topics import queries, service
from domain.topics.rules import INTRO, MOST_POINTS, TITLE, TopicRules
from domain.workflows import picking
from handlers.web.api.operations import Parameter
from handlers.web.api.problems import invalid
from handlers.web.api.shapes import Fault, PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, OPERATOR, REFUSED, Asked, OpsOperation, shaped

_STATES = (*queries.STATES, "all")


class Topic(Struct):
    """What customers see with 话题. At most one is open."""

    id: int
    title: str
    intro: str
    points: Annotated[int, Meta(description="What a picked word earns its author.")]
    opened_at: datetime
    opened_by: str
    ends_at: Annotated[datetime | None, Meta(description="When it closes by itself.")]
    closed_at: datetime | None
    closed_by: str
    people: Annotated[int, Meta(description="How many said something.")]
    picked: int
    waiting: Annotated[int, Meta(description="Words that nobody has judged.")]


class Topics(Struct):
    """The newest first; 100 at most."""

    topics: list[Topic]


class NewTopic(Struct):
    """The question, and what a picked word earns (as assets/topics.toml says, if left out)."""

    title: Annotated[str, Meta(min_length=2, max_length=TITLE)]
    intro: Annotated[str, Meta(max_length=INTRO)] = ""
    points: Annotated[int, Meta(ge=0, le=MOST_POINTS)] | None = None
    days: Annotated[int, Meta(ge=0, le=service.MOST_DAYS, description="Until it closes by itself; 0: never.")] = 0


class TopicWord(Struct):
    """What somebody said; one word a person and topic."""

    id: int
    topic_id: int
    person_id: PersonId
    nickname: str
    words: str
    said_at: datetime
    changes: Annotated[int, Meta(description="How often it replaced another.")]
    state: Literal["new", "picked", "passed"]
    judged_at: datetime | None
    judged_by: str
    thanked_at: Annotated[datetime | None, Meta(description="When its author was rewarded; once.")]
    points: int


class TopicWords(Struct):
    """The newest first; 200 at most."""

    words: list[TopicWord]


class TopicCrowd(Struct):
    """Whom to tell: a segment, or everybody."""

    segment: str = ""


class TopicAnnounced(Struct):
    """The broadcast that tells them; see /broadcasts of the command line."""

    broadcast: int


def index(asked: Asked) -> Topics:
    return Topics([_topic(one) for one in queries.listed(asked.session)])


def open_topic(asked: Asked) -> Topic:
    body: NewTopic = asked.body
    worth = asked.tool(TopicRules).points if body.points is None else body.points
    return _topic(service.open_topic(asked.session, body.title, body.intro, worth, body.days, asked.tool(Wording),
                                     asked.actor, asked.now))


def show(asked: Asked) -> Topic:
    return _topic(queries.one(asked.session, _number(asked)))


def close(asked: Asked) -> Topic:
    return _topic(service.close(asked.session, _number(asked), asked.actor, asked.now))


def announce(asked: Asked) -> TopicAnnounced:
    segment = asked.body.segment
    if segment and segment not in asked.tool(Segmentation).titles():
        raise invalid([Fault("/segment", "is no segment")])
    return TopicAnnounced(picking.announce(asked.session, _number(asked), asked.copy.render, segment,
                                           asked.tool(Wording), asked.actor, asked.now))


def words(asked: Asked) -> TopicWords:
    state = asked.choice("state", _STATES, "all")
    topic = queries.one(asked.session, _number(asked))
    return TopicWords([_word(one) for one in queries.words(asked.session, topic.id, "" if state == "all" else state)])


def pick(asked: Asked) -> TopicWord:
    return _word(picking.pick(asked.session, _number(asked), asked.tool(Wording), asked.tool(PointRules).life,
                              asked.actor, asked.now))


def pass_over(asked: Asked) -> TopicWord:
    return _word(service.pass_over(asked.session, _number(asked), asked.actor, asked.now))


def _number(asked: Asked) -> int:
    return min(int(asked.path["number"]), BIGGEST_ID)


def _topic(view: queries.TopicView) -> Topic:
    return msgspec.convert(view, Topic, from_attributes=True)


def _word(view: queries.WordView) -> TopicWord:
    return msgspec.convert(view, TopicWord, from_attributes=True)


_PLACES = (("number", "Its number."),)
_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/topics", "listTopics", "Topics", "All topics", "With how many took part.", Topics, index),
    OpsOperation("POST", "/topics", "openTopic", "Topics", "Open a topic", "Customers see it at once in chat.", Topic,
                 open_topic, roles=OPERATOR, body=(NewTopic,), read_body=shaped(NewTopic),
                 refusals=(REFUSED,)),
    OpsOperation("GET", "/topics/<int:number>", "getTopic", "Topics", "One of them", "Changes nothing.", Topic, show,
                 places=_PLACES, refusals=(NO_SUCH,)),
    OpsOperation("POST", "/topics/<int:number>/close", "closeTopic", "Topics", "Close a topic",
                 "Nobody can say more; what was said may still be picked.", Topic, close, roles=OPERATOR,
                 places=_PLACES, refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/topics/<int:number>/announce", "announceTopic", "Topics", "Tell people of it",
                 "As a broadcast: within everybody's caps, hours and consent.", TopicAnnounced, announce,
                 roles=OPERATOR, body=(TopicCrowd,), read_body=shaped(TopicCrowd), places=_PLACES, refusals=_WRONG),
    OpsOperation("GET", "/topics/<int:number>/words", "listTopicWords", "Topics", "What was said to it",
                 "Only picked ones are shown to customers.", TopicWords, words, places=_PLACES,
                 refusals=(NO_SUCH,), query=(Parameter("state", "new, picked, passed or all (default)."),)),
    OpsOperation("POST", "/topic-words/<int:number>/pick", "pickTopicWord", "Topics", "Show a word to everybody",
                 "Its author is thanked by name and gets the topic's points, once for each word.", TopicWord, pick,
                 roles=OPERATOR, places=_PLACES, refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/topic-words/<int:number>/pass", "passTopicWord", "Topics", "Do not show it",
                 "Or no longer; its author hears nothing and keeps what was given.", TopicWord, pass_over,
                 roles=OPERATOR, places=_PLACES, refusals=(NO_SUCH, REFUSED)),
)
