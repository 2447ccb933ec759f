"""``python -m bot menu push``: put the menu of assets/menus below the chat."""

import sys
from typing import Any

import click

from bot.runtime.cli.common import complain, json_option, load_settings, print_json


@click.group()
def menu() -> None:
    """Look after the menu below the chat."""


@menu.command()
@click.option("--account", "only", default="", help="Only this Official Account (default: all of them).")
@click.option("--dry-run", is_flag=True, help="Show what would be sent and send nothing.")
@json_option
def push(only: str, dry_run: bool, as_json: bool) -> None:
    """Replace the menu of the Official Accounts by assets/menus/main.toml.

    The file is checked first. People see the new menu within a day, at once when they follow again.

    \b
    Example:  python -m bot menu push --dry-run
    """
    settings = load_settings(beside=True)
    names = [name for name in settings.wechat if only in ("", name)]
    if not names:
        complain(f"there is no account {only!r} in the accounts file ([wechat.…])", 2)
    from bot.kit.gateway import GatewayError
    from bot.runtime import bootstrap, logs
    from bot.runtime.gateways.wechat import WeChatGateway

    results: list[dict[str, Any]] = []
    logs.configure(settings)
    runtime = bootstrap.build(settings)
    for name in names:
        result, gateway = "would be sent", runtime.gateways[name]
        if not dry_run and isinstance(gateway, WeChatGateway):
            try:
                gateway.push_menu(runtime.menu.platform)
                result = "sent"
            except GatewayError as error:
                result = str(error)
        results.append({"account": name, "result": result, "menu": runtime.menu.platform})
    runtime.close()
    if as_json:
        print_json(results)
    else:
        for row in results:
            click.echo(f"{row['account']:<16} {row['result']}")
    sys.exit(0 if all(row["result"] in ("sent", "would be sent") for row in results) else 1)
