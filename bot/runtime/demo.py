"""The demo shop: its goods, its plan, its three people's names, and the simulator beside it. Only with HUITOU_DEMO."""

import base64
import tomllib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, redirect
from sqlalchemy.orm import Session

from bot.runtime import bootstrap, demo_team, journeys
from bot.runtime.demo_keys import demo_pairs, make_demo_pairs
from bot.runtime.settings import Settings
from bot.simulator import SimAccount, SimConfig, SimCorp, SimMerchant, SimTemplate, blueprint, openid_for, texts
from domain import workflows
from domain.catalog import queries as catalog
from domain.commissions import plans
from domain.orders import events
from domain.orders import service as orders
from domain.people import queries as people
from domain.people.rules import IdentityRef
from domain.points import service as points
from domain.points.rules import PointRules
from domain.rewards.programme import Programme
from domain.shared import addresses, outbox
from domain.shared.clock import FixedClock, OffsetClock
from domain.subscriptions.rules import Catalogue
from domain.workflows import standings

SHELF = 40
WELCOME_POINTS = 120
SOURCE = "mall"
EVENTS_AT_ONCE = 200
UNTIL_SERVED = timedelta(seconds=4)
"""The demo's platform is the simulator, which answers once the web process is up."""


def seed(settings: Settings) -> None:
    """Open the shop (see ``bootstrap.open_shop``) and, in the demo, fill its shelf. Repeating changes nothing."""
    make_demo_pairs(settings.home)
    runtime = bootstrap.build(settings)
    try:
        seed_runtime(runtime)
        with runtime.sessions.begin() as session:
            journeys.install(session, journeys.shipped(), runtime.voice, runtime.clock.now(),
                             live=not settings.own_accounts)
    finally:
        runtime.close()


def seed_runtime(runtime: bootstrap.Runtime) -> None:
    """As ``seed``, on a running process. A shop with accounts of its own gets the simulator, but no goods of ours."""
    if runtime.settings.own_accounts:
        bootstrap.open_shop(runtime)
        return
    now = runtime.clock.now()
    with runtime.sessions.begin() as session:
        demo_team.allow_levels(session, now)
    bootstrap.open_shop(runtime, plans.load(bootstrap.ASSETS / "plans" / "two-level.toml"))
    parsed = [events.parse_event(raw) for raw in _events(runtime.settings, now.isoformat())]
    told = [event for event in parsed if isinstance(event, events.CommerceEvent)]
    assert len(told) == len(parsed), parsed
    with runtime.sessions.begin() as session:
        if catalog.shelf(session, 1):
            return
        orders.receive(session, SOURCE, told, now)
        outbox.put(session, [_menu_push(runtime, name) for name in runtime.settings.wechat], now)
    while workflows.apply_events(runtime.sessions, now, runtime.pepper, EVENTS_AT_ONCE):
        pass
    with runtime.sessions.begin() as session:
        _welcome(session, runtime, now)


def _welcome(session: Session, runtime: bootstrap.Runtime, now: datetime) -> None:
    """Points for the three people, so that 兑换 and 抽奖 can be tried at once."""
    for account in runtime.settings.wechat.values():
        for name in (texts.PERSON_LI, texts.PERSON_WANG, texts.PERSON_NEW):
            ref = IdentityRef("openid", openid_for(account.app_id, name), account.app_id)
            found = people.find(session, ref, pepper=runtime.pepper)
            if found is not None:
                points.give(session, found, WELCOME_POINTS, f"gift:{found}", runtime.context.tool(PointRules).life, now)


def _menu_push(runtime: bootstrap.Runtime, account: str) -> outbox.Effect:
    """In the demo the menu is there at once; elsewhere the owner pushes it (``python -m bot menu push``)."""
    return outbox.Effect("slow", "menu.push", f"menu.push:{account}:first", None,
                         {"account": account, "menu": runtime.menu.platform}, delay=UNTIL_SERVED)


def mount_simulator(app: Flask, runtime: bootstrap.Runtime) -> None:
    """Hang the simulator into the application at /sim; the printed address leads there.

    Without an Official Account nobody could chat, so there is none.
    """
    if not runtime.settings.wechat:
        return

    def advance(seconds: int) -> datetime:
        assert isinstance(runtime.clock, OffsetClock | FixedClock)
        moved = runtime.clock.advance(seconds)
        runtime.bell.ring({"fact", "slow"})
        return moved

    app.register_blueprint(blueprint(sim_config(runtime, advance)))
    app.add_url_rule("/", "front", lambda: redirect("/sim/"))


def sim_config(runtime: bootstrap.Runtime, advance: Callable[[int], datetime]) -> SimConfig:
    """What the simulator is told of this shop."""
    settings = runtime.settings
    source, secret = _mall(settings)
    accounts = tuple(
        SimAccount(name, account.app_id, account.app_secret.reveal(), account.token.reveal(),
                   account.encoding_aes_key.reveal() if account.encoding_aes_key else "", account.original_id,
                   settings.shop.name, account.mode)  # type: ignore[arg-type]
        for name, account in settings.wechat.items()
    )
    return SimConfig(
        base_url=f"http://127.0.0.1:{settings.port}", database_url=settings.database_url, accounts=accounts,
        webhook_secret=secret, webhook_source=source, now=runtime.clock.now,
        merchants=tuple(_merchants(settings)), corps=tuple(_corps(settings)), advance_clock=advance,
        shop_name=settings.shop.name,
        products=lambda: _shelf(runtime),
        benefits=lambda app_id, openid: _benefits(runtime, app_id, openid), templates=tuple(_templates(runtime)),
    )


def _corps(settings: Settings) -> Iterator[SimCorp]:
    """The WeCom applications that the simulator's corps have, each with one member for customers."""
    for name, one in settings.wecom.items():
        yield SimCorp(name, one.corp_id, one.agent_id, one.secret.reveal(), one.token.reveal(),
                      one.encoding_aes_key.reveal(), settings.shop.name)


def _merchants(settings: Settings) -> Iterator[SimMerchant]:
    """The merchant accounts that the simulator's WeChat Pay knows; it signs with the demo's own platform pair."""
    pairs = demo_pairs(settings.home)
    if pairs is None:
        return
    from bot.runtime.pem import public_pem

    for one in settings.pay.values():
        people = next((name for name, account in settings.wechat.items() if account.app_id == one.app_id), "")
        yield SimMerchant(
            one.mch_id, one.app_id, people, one.serial_no, public_pem(one.private_key.reveal()),
            one.api_v3_key.reveal(), pairs[1].key, pairs[1].certificate, pairs[1].serial, one.public_key_id or "",
            one.scene)


def _templates(runtime: bootstrap.Runtime) -> Iterator[SimTemplate]:
    """The templates that the demo's account has added: those of the table of cards."""
    catalogue = runtime.context.tool(Catalogue)
    for ways in catalogue.ids.values():
        for way, ids in ways.items():
            for name, template_id in ids.items():
                one = catalogue.templates[name]
                yield SimTemplate(template_id, one.title, one.fields, way == "subscription")


def _mall(settings: Settings) -> tuple[str, str]:
    """Name and secret of the system that the simulator's mall plays; its events are refused if there is none."""
    for name, source in settings.api.items():
        return name, source.webhook_secrets[0].reveal()
    return SOURCE, "whsec_" + base64.b64encode(settings.key("no mall")).decode()


def _shelf(runtime: bootstrap.Runtime) -> list[dict[str, Any]]:
    with runtime.sessions.begin() as session:
        return [
            {"sku": one.sku, "title": one.title, "category": one.category, "price_fen": one.price_fen,
             "image_url": one.image_url}
            for one in catalog.shelf(session, SHELF)
        ]


def _benefits(runtime: bootstrap.Runtime, app_id: str, openid: str) -> Sequence[str]:
    """What the API of a person says, so that the simulator's mall has member prices."""
    with runtime.sessions() as session:
        found = people.find(session, IdentityRef("openid", openid, app_id), pepper=runtime.pepper)
        if found is None:
            return ()
        return standings.member(session, found, runtime.context.tool(Programme), runtime.clock.now()).benefits


def _events(settings: Settings, now: str) -> list[dict[str, Any]]:
    """The goods and the names of the three people, as the demo's mall would tell them."""
    raw = tomllib.loads((bootstrap.ASSETS / "demo" / "products.toml").read_text("utf-8"))
    mall = f"{settings.public_url}/sim"
    for product in raw["product"] if not addresses.fault_of(mall) else ():
        product |= {"url": f"{mall}/goods/{product['sku']}", "video_url": f"{mall}/films/{product['sku']}"}
    # The numbered ids keep the file's order: the catalog gives numbers in the order of its events.
    goods = [(f"product-{number:03d}", "product.upserted", product) for number, product in enumerate(raw["product"])]
    names = {texts.PERSON_LI: texts.PERSON_LI + "🌸", texts.PERSON_WANG: texts.PERSON_WANG,
             texts.PERSON_NEW: texts.PERSON_NEW}
    people = [
        (f"person-{number}", "customer.upserted",
         {"identities": {"openid": openid_for(account.app_id, name), "app_id": account.app_id}, "nickname": nickname})
        for account in settings.wechat.values() for number, (name, nickname) in enumerate(names.items())
    ]
    return [{"id": f"demo-{name}", "type": kind, "occurred_at": now, "data": data}
            for name, kind, data in goods + people]
