"""Job handlers by kind of effect, and recurring work by name: a module gives ``jobs``, ``chores`` or both."""

from bot.kit.chores import Chores
from bot.kit.jobs import Jobs
from handlers.jobs import (
    audit,
    books,
    certificates,
    commissions,
    contact_tags,
    contacts,
    draws,
    experiments,
    feedback,
    grants,
    growth,
    helpdesk,
    insight,
    journeys,
    leaving,
    memberships,
    menus,
    notices,
    occasions,
    packets,
    payouts,
    points,
    posters,
    programme,
    reconcile,
    risk,
    roles,
    settlements,
    stafftasks,
)

JOBS = Jobs()
for _jobs in (
    certificates.jobs,
    commissions.jobs,
    contact_tags.jobs,
    contacts.jobs,
    draws.jobs,
    feedback.jobs,
    grants.jobs,
    growth.jobs,
    journeys.jobs,
    memberships.jobs,
    menus.jobs,
    notices.jobs,
    packets.jobs,
    payouts.jobs,
    points.jobs,
    posters.jobs,
    programme.jobs,
    risk.jobs,
    roles.jobs,
    settlements.jobs,
):
    JOBS.include(_jobs)

CHORES = Chores()
for _chores in (
    audit.chores,
    books.chores,
    contacts.chores,
    draws.chores,
    experiments.chores,
    helpdesk.chores,
    insight.chores,
    journeys.chores,
    notices.chores,
    leaving.chores,
    occasions.chores,
    payouts.chores,
    points.chores,
    programme.chores,
    reconcile.chores,
    risk.chores,
    roles.chores,
    settlements.chores,
    stafftasks.chores,
):
    CHORES.include(_chores)
