"""A supervisor over stand-in children and at most one server, as a process: ``stand_in HOME PORT NAME…``.

Children: ``web`` (early, answers HTTP), ``steady``, ``stubborn`` (ignores SIGTERM), ``dying`` (ends at once),
``parent`` (has a child in a group of its own), ``prepare-ok``, ``prepare-bad``. Each writes its pid to HOME/<name>.
Three more words: ``patient`` waits very long for the children, ``never-ready`` is never ready, ``server`` is one that
writes for a while when it is asked to stop.
"""

import http.client
import subprocess
import sys
from pathlib import Path

from bot.runtime import embedded, supervisor
from bot.runtime.supervisor import Child, House, Supervisor

SOURCES = {
    "web": """
        assert sys.stdin.readline() == 'go\\n', 'the line was closed'
        from http.server import HTTPServer, SimpleHTTPRequestHandler
        HTTPServer.allow_reuse_address = True
        print('listening', flush=True)
        HTTPServer(('127.0.0.1', PORT), SimpleHTTPRequestHandler).serve_forever()""",
    "steady": """
        while True: time.sleep(0.1)""",
    "stubborn": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True: time.sleep(0.1)""",
    "dying": """
        print('no reason', flush=True); sys.exit(3)""",
    "parent": """
        child = subprocess.Popen([sys.executable, '-c', 'import os, time; os.setpgrp(); time.sleep(600)'])
        (HOME / 'offspring').write_text(str(child.pid))
        while True: time.sleep(0.1)""",
    "prepare-ok": """
        print('prepared', flush=True)""",
    "prepare-bad": """
        print('will not do', flush=True); sys.exit(7)""",
}


SERVER = """
import signal, sys, time
from pathlib import Path
def stop(number, frame):
    time.sleep(1)
    Path(sys.argv[1]).write_text("all")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
Path(sys.argv[1]).touch()
while True:
    time.sleep(0.1)
"""


def server(home: Path) -> embedded.Server:
    written = home / "written"
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(written)])
    return embedded.Server(process, "", home / "server.log", written.exists)


def child(name: str, home: Path, port: int) -> Child:
    head = (f"import os, signal, subprocess, sys, time\nfrom pathlib import Path\nHOME, PORT = Path({str(home)!r}), "
            f"{port}\n(HOME / {name!r}).write_text(str(os.getpid()))\n")
    body = "\n".join(line[8:] for line in SOURCES[name].splitlines())
    return Child(name, (sys.executable, "-c", head + body), early=name == "web")


def main(home: Path, port: int, names: list[str]) -> int:
    supervisor.APPS_SECONDS = 600.0 if "patient" in names else 1.5
    supervisor.SERVERS_SECONDS = 0.2
    supervisor.BACKOFF = (0.2, 0.2, 0.2)

    def is_ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    prepare = next((child(name, home, port) for name in names if name.startswith("prepare")), None)
    children = [child(name, home, port) for name in names if name in SOURCES and not name.startswith("prepare")]
    ready = is_ready if "web" in names else (
        lambda: "never-ready" not in names and all((home / child.name).exists() for child in children))
    with embedded.claimed(home):
        servers = {"server": lambda: server(home)} if "server" in names else {}
        return Supervisor(House(servers, prepare, children, ready, "ready: yes"), start_seconds=20).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
