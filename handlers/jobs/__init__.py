"""Job handlers by kind of effect."""

from bot.kit.jobs import Jobs
from handlers.jobs import commissions, growth, notices, posters

JOBS = Jobs()
for _part in (notices, posters, commissions, growth):
    JOBS.include(_part.jobs)
