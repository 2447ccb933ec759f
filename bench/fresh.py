"""A process that has loaded what pictures are made of, as the supervisor has, and bears a child for every line read.

The child makes its first poster and says how many milliseconds it took; then it is gone. On the command line: the
shelf's folder or '' for none, and ``warmed`` for a child that rehearses first, as workers do.
"""

import os
import sys
import time
from pathlib import Path

from bench.poster import REQUEST, STYLES
from bot.pictures.shelf import Shelf
from bot.pictures.studio import Studio


def main() -> None:
    shelf, warmed = sys.argv[1:]
    folder = Path(shelf) if shelf else None
    print("loaded", flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            if warmed:
                Studio(STYLES, Shelf(folder)).rehearse()
            begun = time.perf_counter()
            Studio(STYLES, Shelf(folder)).compose(REQUEST)
            print((time.perf_counter() - begun) * 1e3, flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
