"""The one composition root: from settings to a process that can answer, work and wait."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import time, timedelta
from functools import cache, partial
from pathlib import Path
from secrets import token_urlsafe
from time import monotonic
from time import time as real_time
from typing import Any, TypeVar

from msgspec import structs
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, configure_mappers, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from bot.kit.context import Shop
from bot.kit.gateway import Gateway
from bot.kit.jssdk import SCRIPT, JsSdk, PageSignature
from bot.kit.links import Links
from bot.kit.pay import PayGateways
from bot.kit.wecom import WeComs
from bot.pictures.certificate import Certificates
from bot.pictures.photos import Photos
from bot.pictures.shelf import Shelf
from bot.pictures.studio import Studio
from bot.runtime import bell as bells
from bot.runtime import cards, journeys, key_mark, metrics, rewards, staffway, understanding, wecom
from bot.runtime.channels.wechat import AccountKeys
from bot.runtime.channels.wecom import AppKeys
from bot.runtime.chores import ChoreRunner
from bot.runtime.context import ProcessContext
from bot.runtime.dispatch import Account, Dispatcher
from bot.runtime.documents import written
from bot.runtime.gateways.account import AccountConfig
from bot.runtime.gateways.attempts import Observe
from bot.runtime.gateways.faults import Refusal
from bot.runtime.gateways.tickets import signature
from bot.runtime.gateways.tokens import STABLE_TOKEN
from bot.runtime.gateways.wechat import WeChatGateway
from bot.runtime.gateways.wecom import GET_TOKEN
from bot.runtime.menus import Menu, load_menu
from bot.runtime.outbox import OutboxRunner
from bot.runtime.reading import Reading
from bot.runtime.settings import RulesRefused, Settings
from bot.runtime.voice import Voice
from domain.audit.rules import SealKey
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.commissions.plans import Plan
from domain.feedback import rules as feedback
from domain.feedback.rules import FeedbackRules
from domain.helpdesk import rules as helpdesk
from domain.helpdesk.rules import HelpdeskRules
from domain.insight import rules as insight
from domain.journeys.checking import Vocabulary
from domain.journeys.library import Library
from domain.journeys.ways import Platform
from domain.materials.kits import Kits
from domain.notices.rules import Policy
from domain.people.leaving import Memory
from domain.platform.budgets import Budgets
from domain.risk.rules import Rules
from domain.roles import rulebook, rulebooks
from domain.roles.rules import Titles
from domain.shared.clock import Clock, OffsetClock, SystemClock
from domain.shared.errors import DomainError
from domain.shared.late import RESTED_SECONDS, LateSessions
from domain.shared.seal import Seal
from domain.shared.wording import Wording
from domain.shots import rules as shots
from domain.shots.rules import ShotRules
from domain.stafftasks.rules import StaffWay
from domain.subscriptions.rules import Catalogue
from domain.topics import rules as topics
from domain.topics.rules import TopicRules
from domain.vault.seal import Vault
from domain.workflows import calendar, quiz
from domain.workflows.calendar import OccasionRules
from domain.workflows.evidence import Pseudonyms
from domain.workflows.leaving import Leaving
from domain.workflows.quiz import Quiz
from handlers.chat import TREE
from handlers.jobs import CHORES, JOBS

Rulebook = TypeVar("Rulebook")

ASSETS = Path(__file__).parents[2] / "assets"

POOL = {"pool_size": 5, "max_overflow": 40, "pool_recycle": 900}
CONNECT = {"connect_timeout": 3, "application_name": "huitou", "keepalives_idle": 5, "keepalives_interval": 3,
           "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""A database whose machine or network vanished says nothing, and the kernel would wait a quarter of an hour for it,
every thread with it. It is given up after 10 s (14 s while an answer is awaited) without a sign of its host, which
gives one even while it is busy."""
DEMO_REST = timedelta(minutes=1)
"""A used-up daily quota rests until midnight; who plays with the simulator's switches need not wait that long."""

STATEMENT_MILLISECONDS = 15_000
IDLE_MILLISECONDS = 30_000
"""A process that hangs within a transaction loses it after this, and with it its row locks, which are leases: nobody
calls out within a transaction, so nobody who is well stands idle for so long."""


@dataclass(frozen=True)
class Runtime:
    """Everything a web, worker or clock process is made of."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    clock: Clock
    voice: Voice
    menu: Menu
    shop: Shop
    bell: "bells.Doorbell | bells.SilentBell"
    gateways: Mapping[str, Gateway]
    dispatcher: Dispatcher
    outbox: OutboxRunner
    chores: ChoreRunner
    context: ProcessContext
    library: Library
    pepper: bytes

    def keys(self) -> dict[str, AccountKeys]:
        """The callback keys of every Official Account."""
        return {name: _keys(name, self.settings) for name in self.settings.wechat}

    def wecom_keys(self) -> dict[str, AppKeys]:
        """The callback keys of every WeCom application."""
        return {name: wecom.keys(name, account) for name, account in self.settings.wecom.items()}

    def close(self) -> None:
        self.engine.dispose()


def connect(url: str, **pool: Any) -> Engine:
    """An engine with the house's timeouts; statements are prepared by the driver after a few uses."""
    options = (f"-c statement_timeout={STATEMENT_MILLISECONDS} -c timezone=UTC"
               f" -c idle_in_transaction_session_timeout={IDLE_MILLISECONDS}")
    # hide_parameters: a fault of the driver must not carry what somebody typed into a log or an error column.
    engine = create_engine(url, connect_args={**CONNECT, "options": options}, hide_parameters=True, **(POOL | pool))
    _ask_the_rested(engine)
    return engine


def _ask_the_rested(engine: Engine) -> None:
    """Instead of asking at every use (pool_pre_ping), which costs a busy web worker more than a statement."""

    @event.listens_for(engine, "checkin")
    def rest(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["rested_at"] = monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _fairy: Any) -> None:
        if monotonic() - record.info.get("rested_at", monotonic()) < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as fault:
            raise InvalidatePoolError from fault


def build(
    settings: Settings, *, engine: Engine | None = None, clock: Clock | None = None,
    bell: "bells.Doorbell | bells.SilentBell | None" = None, gateways: Mapping[str, Gateway] | None = None,
    studio: Studio | None = None, voice: Voice | None = None, pay: PayGateways | None = None,
    certificates: Certificates | None = None,
) -> Runtime:
    """Put a process together. Production gives settings only; tests give fakes for what would call out."""
    # One for every thread: a connection above pool_size is closed after each use and opened anew for the next.
    engine = engine or connect(settings.database_url, pool_size=max(POOL["pool_size"], settings.web_threads))
    sessions = sessionmaker(engine, expire_on_commit=False)
    clock = clock or (OffsetClock(settings.home / "clock") if settings.demo else SystemClock())
    bell = bell or bells.Doorbell(bells.connect(settings.redis_url))
    gateways = gateways if gateways is not None else _gateways(settings, engine)
    studio = studio or house_studio(settings)
    voice = voice or house_voice(settings.home)
    styles = tuple((style.key, style.name) for style in studio.styles())
    app_ids = {name: account.app_id for name, account in settings.wechat.items()}
    shops = {name: Shop(settings.shop.name, settings.public_url, app_id, styles) for name, app_id in app_ids.items()}
    shop = next(iter(shops.values()), Shop(settings.shop.name, settings.public_url, "", styles))
    pepper = settings.key("identity hashes")
    catalogue, budgets = cards.load(settings, voice), written(Budgets.load, ASSETS / "budgets.toml")
    library = Library()
    tools = {
        **rewards.tools(settings), **house_rules(voice), Library: library, Memory: _memory(settings),
        HelpdeskRules: _desk(voice, settings),
        Studio: studio, Photos: Photos(), Certificates: certificates or shop_certificates(),
        Catalogue: catalogue, Budgets: budgets, Platform: Platform(catalogue, budgets, app_ids),
        Vault: Vault(*settings.vault_keys()),
        Links: Links(settings.key("personal links"), settings.public_url, real_time), Seal: Seal(pepper),
        StaffWay: staffway.load(settings, voice), WeComs: wecom.gateways(settings, engine, _observer),
        PayGateways: pay if pay is not None else pay_gateways(settings, engine, clock),
        SealKey: SealKey(settings.key("audit seals")),
        JsSdk: JsSdk(partial(_signed, {app_ids[name]: gateway for name, gateway in gateways.items()}),
                     "" if settings.demo else SCRIPT),
        Pseudonyms: Pseudonyms(settings.key("regulator pseudonyms")),
        Vocabulary: journeys.vocabulary(voice),
    }
    context = ProcessContext(sessions, clock, voice, shop, app_ids, gateways, tools, bell.ring)
    accounts = {name: Account(name, app_ids[name], shops[name]) for name in app_ids} | wecom.accounts(settings)
    menu = house_menu(ASSETS / "menus" / "main.toml")
    dispatcher = Dispatcher(LateSessions(engine), TREE, voice, clock.now, bell.ring, menu.intents, accounts, tools,
                            reading=Reading(engine))
    outbox = OutboxRunner(sessions, JOBS, context, clock.now)
    return Runtime(settings, engine, sessions, clock, voice, menu, shop, bell, gateways, dispatcher, outbox,
                   ChoreRunner(CHORES, context, engine), context, library, pepper)


def warm_up(voice: Voice) -> None:
    """Load what every process of the house reads from files and none of them changes; children by fork share it.
    ``voice``: the one of the house (``house_voice``)."""
    understanding.warm_up()
    house_rules(voice)
    Studio(ASSETS / "posters")  # its files stay read
    configure_mappers()


def house_studio(settings: Settings) -> Studio:
    """What it has drawn of the shipped styles is kept in the home for the next process."""
    return Studio(ASSETS / "posters", Shelf(settings.home / "pictures"))


@cache
def house_voice(home: Path) -> Voice:
    """One a process. That its texts are good is remembered in the home."""
    return Voice(ASSETS / "copy", home / "checked_texts.json")


def open_shop(runtime: Runtime, plan: Plan | None = None) -> None:
    """Make sure that a commission plan is live: a new shop starts on ``plan``, default the shipped first-shop. The
    rules of roles become a new version when their file has changed."""
    with runtime.sessions.begin() as session:
        key_mark.keep(session, runtime.settings, runtime.clock.now())
        if not commissions.plan_count(session):
            first = plan or plans.load(ASSETS / "plans" / "first-shop.toml")
            commissions.ensure_plan(session, first, runtime.clock.now(), actor="huitou")
        rulebooks.publish(session, rulebook.load((ASSETS / "roles.toml").read_text("utf-8")), runtime.clock.now())
        rewards.open_rewards(session, runtime.context, runtime.clock.now())


def house_rules(voice: Voice) -> dict[type[Any], Any]:
    """What the shop's files say that is the same whatever the settings are, by its type. Raises RulesRefused."""
    return {
        insight.Segmentation: _rules(voice, "segments.toml", insight.load),
        OccasionRules: _rules(voice, "occasions.toml", calendar.load),
        FeedbackRules: _rules(voice, "feedback.toml", feedback.load), Quiz: _rules(voice, "quiz.toml", quiz.load),
        TopicRules: _rules(voice, "topics.toml", topics.load), ShotRules: _rules(voice, "shots.toml", shots.load),
        Leaving: written(Leaving.load, ASSETS / "leaving.toml"), Policy: written(load_policy, ASSETS / "notices.toml"),
        Wording: written(Wording.load, ASSETS / "sensitive_words.toml"),
        Rules: written(Rules.load, ASSETS / "risk.toml"), Kits: written(Kits.load, ASSETS / "share_kits.toml"),
        Titles: written(Titles.load, ASSETS / "roles.toml"),
    }


def _memory(settings: Settings) -> Memory:
    """How people who were erased are known again."""
    return Memory(*map(Seal, settings.keys("erased identities")))


def _desk(voice: Voice, settings: Settings) -> HelpdeskRules:
    """Who talks with customers when."""
    return structs.replace(_rules(voice, "helpdesk.toml", helpdesk.load), by_wechat=settings.shop.helpdesk == "wechat")


def _rules(voice: Voice, name: str, load: Callable[[str], Rulebook]) -> Rulebook:
    """The rules of a file. Raises RulesRefused, in words for whoever wrote it."""
    try:
        return written(load, ASSETS / name)
    except DomainError as refusal:
        raise RulesRefused(f"{name}\n{voice.explain(refusal.code, refusal.facts)}") from refusal


@cache
def house_menu(path: Path) -> Menu:
    """One a process."""
    return load_menu(path)


@cache
def shop_certificates() -> Certificates:
    """One a process: its backs take a second each to draw."""
    return Certificates(ASSETS / "certificates")


def load_policy(toml: str) -> Policy:
    """The shop's manners, from the text of assets/notices.toml. Raises ValueError naming an unknown or ill-typed
    key."""
    raw = tomllib.loads(toml)
    wanted: dict[str, Callable[[Any], bool]] = {
        "quiet_from": lambda v: isinstance(v, time), "quiet_until": lambda v: isinstance(v, time),
    }
    wanted |= {field.name: _count for field in fields(Policy) if field.name not in wanted}
    wrong = [name for name, value in raw.items() if name not in wanted or not wanted[name](value)]
    if wrong:
        raise ValueError(f"notices.toml: unknown or ill-typed: {', '.join(sorted(wrong))}")
    return Policy(**raw)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _gateways(settings: Settings, engine: Engine) -> dict[str, Gateway]:
    return {
        name: WeChatGateway(
            AccountConfig(name, account.app_id, account.app_secret.reveal(), account.api_base,
                          "service" if account.type == "service" else "subscription",
                          DEMO_REST if settings.demo else None),
            engine, settings.key("platform tokens"), observe=_observer(name),
        )
        for name, account in settings.wechat.items()
    }


def pay_gateways(settings: Settings, engine: Engine, clock: Clock) -> PayGateways:
    """One gateway for each merchant account of the settings."""
    if not settings.pay:
        return PayGateways({})
    from bot.runtime.gateways.wechat_pay import WeChatPay, merchant_of  # 9 MB of keys and ciphers, for those who pay

    return PayGateways({
        name: WeChatPay(merchant_of(account, settings.public_url, settings.demo), engine, clock.now,
                        observe=partial(metrics.pay_answer, name))
        for name, account in settings.pay.items()
    })


def _signed(gateways: Mapping[str, Gateway], app_id: str, url: str) -> PageSignature:
    timestamp, nonce = int(real_time()), token_urlsafe(12)
    return PageSignature(app_id, timestamp, nonce, signature(gateways[app_id].page_ticket(), nonce, timestamp, url))


def _observer(account: str) -> Observe:
    """Counts every call of the platform by API and code, or by how far it came when there was none, and token refreshes
    by how they ended."""

    def observe(api: str, refusal: Refusal | None) -> None:
        code = str(refusal.result.errcode or refusal.kind) if refusal else "0"
        metrics.platform_answer(account, api, code)
        if api in (STABLE_TOKEN.name, GET_TOKEN.name):
            metrics.token_refresh(account, "failed" if refusal else "fresh")

    return observe


def _keys(name: str, settings: Settings) -> AccountKeys:
    account = settings.wechat[name]
    given = (account.encoding_aes_key, account.previous_encoding_aes_key)
    return AccountKeys(
        account=name, app_id=account.app_id, token=account.token.reveal(),
        aes_keys=tuple(key.reveal() for key in given if key is not None), original_id=account.original_id,
        mode=account.mode,  # type: ignore[arg-type]
    )
