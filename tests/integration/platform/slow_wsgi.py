"""A slow application on the real web server: ``slow_wsgi.py HOME PORT``. It says "in" when a request has begun."""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/slow":
        print("in", flush=True)
        time.sleep(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


if __name__ == "__main__":
    from bot.runtime.cli.parts import web_server
    from bot.runtime.settings import load

    settings = load({"HUITOU_HOME": sys.argv[1], "PORT": sys.argv[2], "WEB_WORKERS": "2"}, Path.cwd())
    web_server(settings, "tests.integration.platform.slow_wsgi:app").serve()
