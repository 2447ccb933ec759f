"""Commands as children of a supervisor: what each is started as, and what is loaded once for all of them."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from bot.runtime import lean, nursery
from bot.runtime.settings import Settings
from bot.runtime.supervisor import Child, House, Supervisor


def both_pools(settings: Settings) -> int:
    """``worker`` without a pool: one of each, minded as under ``up``. Returns the exit status."""
    return Supervisor(House(
        servers={}, prepare=None, children=(child("fast", "worker", "fast"), child("slow", "worker", "slow")),
        is_ready=lambda: True, ready_line="fast and slow are at work",
        load=loading(settings),
    )).run()


def child(name: str, *arguments: str, early: bool = False) -> Child:
    """A part: born with what this process has loaded, where that is possible; elsewhere a program of its own."""
    words = [*arguments, "--await-go"]
    body = partial(click.get_current_context().find_root().command.main, words, standalone_mode=True)
    return Child(name, (sys.executable, "-m", "bot", *words), early, body if nursery.is_possible() else None)


def loading(settings: Settings) -> Callable[[], object] | None:
    """What the supervisor loads before it bears children; None where each must start as a program of its own."""
    return partial(_load, settings.home) if nursery.is_possible() else None


def _load(home: Path) -> None:
    """What the parts are made of, once for all of them: two thirds of each part's own start."""
    from bot.runtime import understanding

    with lean.loading():
        understanding.warm_up()  # first: what comes after fills the holes that it leaves
        import bot.runtime.app
        import bot.runtime.clockwork
        import bot.runtime.gateways.wechat_pay  # and with it all that seals and signs, which a part loads when it must
        import bot.runtime.journeys
        import bot.runtime.worker  # noqa: F401
        from bot.runtime import bootstrap

        bootstrap.warm_up(bootstrap.house_voice(home))
