"""A worker process: an RQ worker on one queue that answers one bell.

One queue a worker, because RQ pops several queues without an intermediate list and then loses the job of a
killed worker. JSON instead of pickle, and only our own job by name: whoever can write to Redis cannot run code.
"""

import gc
import os
import sys
import threading
from typing import Any

import structlog
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.pictures.studio import Studio
from bot.runtime import bell, bootstrap, nursery, work
from bot.runtime.memory import give_back
from bot.runtime.settings import Settings

log = structlog.get_logger(__name__)

_process: list[bootstrap.Runtime] = []
"""The runtime of this worker process: RQ calls jobs by name, so they find it here."""


class HouseWorker(SimpleWorker):  # type: ignore[misc]
    """Runs jobs in this process (effects are small and many), and only the one job that we know."""

    def perform_job(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> bool:
        if job.func_name != bell.JOB:
            log.error("worker.foreign_job", name=str(job.func_name)[:100])
            job.delete()
            return False
        return bool(super().perform_job(job, queue, *args, **kwargs))


def answer_bell(name: str) -> int:
    """The one RQ job: do whatever is due behind this bell."""
    done = work.answer(_process[0], name)
    if name == "slow" and done:
        give_back()
    return done


def _fill_shelf(studio: Studio) -> None:
    """A child draws what the shelf lacks, or what is damaged there, when nobody else wants the processor: ten seconds'
    work for a new home, a tenth of a second's for a warm one. The memory that drawing takes is gone with the child."""
    if not nursery.is_possible():
        return
    parent, child = os.getpid(), os.fork()
    if child:
        threading.Thread(target=os.waitpid, args=(child, 0), daemon=True).start()
        return
    try:
        os.nice(19)
        for _ in studio.prepare():
            give_back()
            if os.getppid() != parent:  # nobody is left to draw for
                break
    finally:
        os._exit(0)


def main(settings: Settings, bells: tuple[str, ...]) -> None:
    """Serve one bell until told to stop. ``bells`` names exactly one of bot.runtime.bell.BELLS."""
    if len(bells) != 1 or bells[0] not in bell.BELLS:
        sys.exit(f"a worker serves exactly one of: {', '.join(bell.BELLS)}")
    runtime = bootstrap.build(settings)
    _process[:] = [runtime]
    if bells[0] == "slow":
        _fill_shelf(runtime.context.tool(Studio))
        runtime.context.tool(Studio).rehearse()  # the first customer does not wait for fonts
    gc.collect()
    gc.freeze()  # what lives as long as the process need not be looked through at every collection
    work.answer(runtime, bells[0])
    give_back()
    connection = bell.connect(settings.redis_url, answer_seconds=5)
    queue = Queue(bells[0], connection=connection, serializer=JSONSerializer)
    worker = HouseWorker([queue], connection=connection, serializer=JSONSerializer, worker_ttl=60)
    worker.work(with_scheduler=False, logging_level="WARNING")
    runtime.close()
