"""``python -m bot``: see ``python -m bot --help``."""

from bot.runtime.cli import main

main()
