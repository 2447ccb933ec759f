"""When two people turn out to be one, their orders, deals and money follow. Passed to the people room as movers."""

from domain.commissions import service as commissions
from domain.contacts import service as contacts
from domain.draws import service as draws
from domain.experiments import service as experiments
from domain.feedback import service as feedback
from domain.fulfilment import service as fulfilment
from domain.helpdesk import service as helpdesk
from domain.inbox import service as inbox
from domain.insight import service as insight
from domain.journeys import occasions
from domain.journeys import service as journeys
from domain.ledger import service as ledger
from domain.mall import service as mall
from domain.materials import service as materials
from domain.memberships import service as memberships
from domain.notices import service as notices
from domain.orders import service as orders
from domain.payouts import service as payouts
from domain.people import leaving
from domain.people.service import Mover
from domain.points import service as points
from domain.referrals import service as referrals
from domain.rewards import service as rewards
from domain.risk import service as risk
from domain.roles import service as roles
from domain.settlements import milestones
from domain.settlements import service as settlements
from domain.shots import service as shots
from domain.stafftasks import service as stafftasks
from domain.topics import service as topics
from domain.vault import service as vault

MOVERS: tuple[Mover, ...] = (
    referrals.move,
    orders.move,
    commissions.move,
    ledger.move,
    roles.move,
    rewards.move,
    memberships.move,
    draws.move,
    mall.move,
    fulfilment.move,
    feedback.move,
    topics.move,
    helpdesk.move,
    shots.move,
    inbox.move,
    notices.move,
    materials.move,
    contacts.move,
    vault.move,
    experiments.move,
    insight.move,
    risk.move,
    payouts.move,
    settlements.move,
    milestones.move,
    points.move,
    journeys.move,
    occasions.move,
    leaving.move,
    stafftasks.move,
)
"""What every caller of ``people.service.resolve_many`` and ``merge`` passes, so that nothing is left behind."""
