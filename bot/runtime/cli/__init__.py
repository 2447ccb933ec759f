"""The command line: ``python -m bot <command>``.

Commands import what they need when they run: ``--help`` and the supervisor's own start stay quick.
"""

import importlib
import sys
from typing import Any

import click

_COMMANDS = {
    "up": "up:up",
    "web": "parts:web",
    "worker": "parts:worker",
    "clock": "parts:clock",
    "migrate": "parts:migrate",
    "demo": "parts:demo",
    "doctor": "checks:doctor",
    "ledger": "checks:ledger",
    "events": "events:events",
    "order": "orders:order",
    "menu": "menus:menu",
    "pay": "pay:pay",
    "plan": "plans:plan",
    "operator": "operators:operator",
    "approvals": "approvals:approvals",
    "audit": "audit:audit",
    "compliance": "compliance:compliance",
    "risk": "risk:risk",
    "export": "export:export",
    "withdrawal": "payouts:withdrawal",
    "payouts": "payouts:payouts",
    "tax": "payouts:tax",
    "vault": "vault:vault",
    "people": "people:people",
    "segment": "segments:segment",
    "notice": "notices:notice",
    "broadcast": "broadcasts:broadcast",
    "experiment": "experiments:experiment",
    "journey": "journeys:journey",
    "role": "roles:role",
    "month": "months:month",
    "membership": "memberships:membership",
    "draw": "draws:draw",
    "feedback": "feedback:feedback",
    "topic": "topics:topic",
    "helpdesk": "helpdesk:helpdesk",
    "shots": "shots:shots",
    "mall": "mall:mall",
    "fulfilment": "mall:fulfilment",
    "service": "service_acts:service",
    "reward": "rewards:reward",
    "points": "points:points",
    "video": "videos:video",
    "wecom": "wecom:wecom",
    "env-example": "checks:env_example",
}


class _Commands(click.Group):
    """Finds commands by name and loads only the module that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"bot.runtime.cli.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UnicodeDecodeError as fault:
            click.echo(f"a file of this command is not UTF-8 text, from its byte {fault.start + 1} on", err=True)
            sys.exit(2)
        except Exception as fault:
            from bot.runtime.settings import RulesRefused

            if not isinstance(fault, RulesRefused):
                raise
            click.echo(str(fault), err=True)
            sys.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Huitou, the shop in the chat.

    Settings come from the environment, from .env in this directory, and from the accounts file that
    HUITOU_ACCOUNTS names; without one, the demo shop is served. Exit status: 0 done, 1 something is wrong, 2 the
    command or the settings are.

    \b
    Everything on this machine:   python -m bot up
    What is wrong here?           python -m bot doctor
    """
