"""The table of cards with this shop's accounts: read at the start, every fault at once, each with its remedy."""

from pathlib import Path

from bot.runtime.faulty import Fault
from bot.runtime.settings import Settings, SettingsError
from bot.runtime.voice import Voice
from domain.subscriptions.rules import BadCatalogue, Catalogue

TABLE = Path(__file__).parents[2] / "assets" / "notice_templates.toml"


def load(settings: Settings, voice: Voice) -> Catalogue:
    """The catalogue with the ids of the accounts. Raises SettingsError."""
    try:
        table = Catalogue.load(TABLE.read_text("utf-8"))
    except BadCatalogue as error:
        raise SettingsError([Fault(TABLE.name, fault, "请对照文件开头的说明改正：营销类消息不能用模板或订阅通知发送")
                             for fault in error.faults]) from None
    faults = [Fault(TABLE.name, fault, "请在 assets/copy/cards.toml 补上对应字段的文案，只使用该通知已有的占位符")
              for fault in table.missing(voice.keys())]
    for name, account in settings.wechat.items():
        faults += [Fault(f"wechat.{name}.templates.{one}", "names no template of notice_templates.toml",
                         f"请改成其中之一：{'、'.join(table.templates)}")
                   for one in account.templates if one not in table.templates]
    if faults:
        raise SettingsError(faults)
    return table.at({name: account.templates for name, account in settings.wechat.items()},
                    [name for name, account in settings.wechat.items() if account.type == "service"])
