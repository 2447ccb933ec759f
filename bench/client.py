"""One client of a database in a process of its own: ``python -m bench.client MODULE URL``.

The module's ``client(url)`` gives ``{way: work(batch, first, more)}``; each line read says way, batch, first number and
seconds, the answer is how much was done a second.
"""

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping

Work = Callable[[int, int, Callable[[], bool]], int]
"""Works in batches of so many, numbered from ``first`` on, while ``more()``; returns how much it did."""


def main() -> None:
    module, url = sys.argv[1:]
    ways: Mapping[str, Work] = importlib.import_module(module).client(url)
    gc.collect()
    gc.freeze()  # as the workers do
    print("ready", flush=True)
    for asked in sys.stdin:
        way, batch, first, seconds = json.loads(asked)
        begun = time.perf_counter()
        done = ways[way](batch, first, lambda end=begun + seconds: time.perf_counter() < end)
        print(done / (time.perf_counter() - begun), flush=True)


if __name__ == "__main__":
    main()
