"""Job handlers by kind of effect, and recurring work by name."""

from bot.kit.chores import Chores
from bot.kit.jobs import Jobs
from handlers.jobs.audit import chores as _audit
from handlers.jobs.commissions import jobs as _commissions
from handlers.jobs.experiments import chores as _experiments
from handlers.jobs.growth import jobs as _growth
from handlers.jobs.insight import chores as _insight
from handlers.jobs.menus import jobs as _menus
from handlers.jobs.notices import jobs as _notices
from handlers.jobs.payouts import chores as _payouts_recurring
from handlers.jobs.payouts import jobs as _payouts
from handlers.jobs.posters import jobs as _posters
from handlers.jobs.risk import chores as _risk
from handlers.jobs.risk import jobs as _risk_facts
from handlers.jobs.roles import chores as _role_chores
from handlers.jobs.roles import jobs as _roles
from handlers.jobs.settlements import chores as _months
from handlers.jobs.settlements import jobs as _settlements

JOBS = Jobs()
for _part in (_menus, _notices, _posters, _commissions, _growth, _payouts, _risk_facts, _settlements, _roles):
    JOBS.include(_part)

CHORES = Chores()
for _recurring in (_audit, _experiments, _insight, _payouts_recurring, _risk, _months, _role_chores):
    CHORES.include(_recurring)
