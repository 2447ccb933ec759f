"""``python -m bot``: see ``python -m bot --help``."""

from bot.runtime import lean

lean.leave_out()

from bot.runtime.cli import main  # noqa: E402

main()
