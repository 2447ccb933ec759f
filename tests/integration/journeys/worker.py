"""A worker process for tests: walks journeys on the database of the first argument, at the time of the second, for at
most the seconds of the third."""

import sys
import time
from datetime import datetime

from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from domain.journeys.library import Library
from domain.workflows import walk_journeys


def main(url: str, now: str, seconds: str) -> None:
    sessions, library = sessionmaker(create_engine(url)), Library()
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        if not walk_journeys(sessions, library, datetime.fromisoformat(now)):
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
