"""The operator API over real Flask and PostgreSQL, with one operator of each role and their keys."""

from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import sessionmaker

from bot.runtime.bootstrap import ASSETS
from bot.runtime.routes import Application
from domain.audit import service as audit
from domain.audit.rules import SealKey
from domain.feedback.rules import FeedbackRules
from domain.insight import rules as insight
from domain.insight.rules import Segmentation
from domain.journeys.checking import Vocabulary
from domain.journeys.ways import Platform
from domain.notices.rules import Policy
from domain.points.rules import CheckInRule, Life, PointRules
from domain.shared.clock import FixedClock
from domain.shared.wording import Wording
from domain.stafftasks.rules import StaffWay
from domain.topics.rules import TopicRules
from domain.workflows.evidence import Pseudonyms
from handlers.web import ops
from tests.fakes.shop import voice

PREFIX = "/api/v1/ops"
WORDING = Wording.load((ASSETS / "sensitive_words.toml").read_text("utf-8"))
SEGMENTS = insight.load((ASSETS / "segments.toml").read_text("utf-8"))
NAMES = {"owner": "lin", "finance": "zhou", "reviewer": "chen", "operator": "wu"}


@dataclass
class Office:
    """``get`` and ``post`` speak as an operator, by role; they check the status and give the JSON."""

    engine: Engine
    clock: FixedClock
    tools: dict[type, Any] = field(default_factory=lambda: {
        SealKey: SealKey(b"k" * 32), Pseudonyms: Pseudonyms(b"p" * 32), Wording: WORDING,
        PointRules: PointRules(Life(), CheckInRule()), FeedbackRules: FeedbackRules(), Policy: Policy(),
        TopicRules: TopicRules(), Platform: Platform(), StaffWay: StaffWay({}, frozenset()),
        Segmentation: SEGMENTS, Vocabulary: Vocabulary(voice().keys(), frozenset(), frozenset({"coupon"}))})
    rings: list[frozenset[str]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)
        self.app = Application("ops", static_folder=None)
        context = ops.OpsContext(self.sessions, self.clock.now, self.rings.append, voice(), self.tools.__getitem__)
        self.app.register_blueprint(ops.blueprint(context))
        self.client: FlaskClient = self.app.test_client()
        with self.sessions.begin() as session:
            boss = None
            for role, name in NAMES.items():
                actor = audit.add_operator(session, name, role, boss, self.clock.now())  # type: ignore[arg-type]
                boss = boss or actor
                self.keys[role] = audit.new_key(session, name, actor, self.clock.now())

    def get(self, role: str, path: str, expect: int = 200) -> Any:
        return self._json(self.client.get(PREFIX + path, headers=self.bearer(role)), expect)

    def post(self, role: str, path: str, body: Any = None, expect: int = 200) -> Any:
        raw = {"json": body} if body is not None else {}
        return self._json(self.client.post(PREFIX + path, headers=self.bearer(role), **raw), expect)

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[role]}"}

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.connect() as db:
            return list(db.execute(text(sql), values).all())

    @staticmethod
    def _json(answer: Any, expect: int) -> Any:
        assert answer.status_code == expect, (answer.status_code, answer.text)
        return answer.get_json()
