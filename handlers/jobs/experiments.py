"""Experiments are looked after once an hour: harm stops one, and a bandit chooses anew."""

from datetime import timedelta

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from domain.experiments import service as experiments

chores = Chores()


@chores.every("experiments.tend", timedelta(hours=1))
def tend(ctx: JobContext) -> bool:
    """One experiment a transaction; one that cannot be looked after keeps none of the others waiting."""
    with ctx.begin() as session:
        keys = [one.definition.key for one in experiments.running(session)]
    faults: list[Exception] = []
    for key in keys:
        try:
            with ctx.begin() as session:
                experiments.tend(session, key, ctx.now())
        except Exception as fault:  # noqa: BLE001 - told together at the end
            faults.append(fault)
    if faults:
        raise ExceptionGroup(f"{len(faults)} experiments could not be looked after", faults)
    return False
