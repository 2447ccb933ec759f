"""WeCom's part of putting a process together: keys, accounts, gateways."""

from collections.abc import Callable

from sqlalchemy import Engine

from bot.kit.context import Shop
from bot.kit.wecom import WeComs
from bot.runtime.accounts import WeComAccount
from bot.runtime.channels.wecom import AppKeys, inbox_of
from bot.runtime.dispatch import Account
from bot.runtime.gateways.attempts import Observe
from bot.runtime.gateways.wecom import AppConfig, WeComGateway
from bot.runtime.settings import Settings
from bot.runtime.wecom_reception import WeComDesk
from handlers.staff import STAFF


def keys(name: str, account: WeComAccount) -> AppKeys:
    """The callback keys of one application."""
    given = (account.encoding_aes_key, account.previous_encoding_aes_key)
    return AppKeys(name, account.corp_id, account.token.reveal(),
                   tuple(key.reveal() for key in given if key is not None))


def accounts(settings: Settings) -> dict[str, Account]:
    """What the dispatcher is told of every application, by its name in the inbox."""
    desk = WeComDesk(only_corp=len({one.corp_id for one in settings.wecom.values()}) == 1)
    return {
        inbox_of(name): Account(inbox_of(name), one.corp_id, Shop(settings.shop.name, settings.public_url, one.corp_id),
                                desk, STAFF)
        for name, one in settings.wecom.items()
    }


def gateways(settings: Settings, engine: Engine, observer: Callable[[str], Observe]) -> WeComs:
    """One gateway for each application. ``observer`` gives what counts the answers of an account."""
    return WeComs({
        name: WeComGateway(
            AppConfig(name, one.corp_id, one.agent_id, one.secret.reveal(), one.api_base), engine,
            settings.key("platform tokens"), observe=observer(inbox_of(name)),
        )
        for name, one in settings.wecom.items()
    })
