"""The table of the operator API: every topic brings its operations. Adding a topic is adding its module here."""

from handlers.web.api.operations import AWAY, BAD
from handlers.web.ops import (
    approvals,
    books,
    compliance,
    contacts,
    draws,
    experiments,
    feedback,
    fulfilment,
    helpdesk,
    journey_trials,
    journeys,
    log,
    memberships,
    months,
    notices,
    operators,
    pay,
    payouts,
    plans,
    points,
    rewards,
    risk,
    roles,
    segments,
    service_acts,
    shots,
    topics,
    videos,
)
from handlers.web.ops.context import OpsOperation

PREFIX = "/api/v1/ops"

TOPICS = (
    contacts,
    operators,
    approvals,
    payouts,
    plans,
    compliance,
    months,
    roles,
    rewards,
    points,
    service_acts,
    memberships,
    draws,
    fulfilment,
    feedback,
    helpdesk,
    shots,
    pay,
    books,
    risk,
    log,
    journeys,
    journey_trials,
    experiments,
    notices,
    segments,
    topics,
    videos,
)

OPERATIONS: tuple[OpsOperation, ...] = tuple(operation for topic in TOPICS for operation in topic.OPERATIONS)

EVERY_OPERATION = (
    (401, "The key is no operator's, or its operator is disabled."),
    (403, "The operator's role may not do this, or a second person must."),
    BAD,
    AWAY,
)
