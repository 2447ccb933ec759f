"""In which order files are begun: what takes longest first, so that at the end no core waits for one long file.

pytest-xdist begins with the files that hold the most tests, which are the quickest, and ended with one process that
killed houses alone for two minutes. What mostly waits and what mostly reckons take turns.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

LONGEST = (
    "e2e/test_kills.py", "dialogs/test_stages.py", "dialogs/test_roles.py", "e2e/test_payout_kills.py",
    "integration/payouts/test_once.py", "integration/payouts/test_money.py", "dialogs/test_paying_out.py",
    "integration/platform/test_deployment.py", "dialogs/test_shipped_journeys.py", "dialogs/test_leaving.py",
    "e2e/test_token.py", "dialogs/test_why.py", "dialogs/test_journey_edges.py", "web/test_story_browser.py",
    "dialogs/test_membership.py", "integration/payouts/test_recall.py", "e2e/test_story_http.py",
    "dialogs/test_progress.py", "dialogs/test_nasty_journeys.py", "integration/people/test_graph_races.py",
    "dialogs/test_experiments.py", "integration/platform/test_up.py", "dialogs/test_identities.py",
    "integration/money/test_machine.py", "unit/pictures/test_poster.py", "integration/journeys/test_trials.py",
    "dialogs/test_journeys.py", "integration/dispatch/test_delivery.py", "integration/money/test_month_properties.py",
    "integration/journeys/test_rehearsal.py", "unit/pictures/test_shelf.py", "integration/payouts/test_packets.py",
    "dialogs/test_wecom.py", "integration/money/test_one_truth.py", "dialogs/test_appeal.py",
    "integration/platform/test_nursery.py", "integration/test_migrations.py", "web/test_simulator_page.py",
    "integration/money/test_reconcile.py",
)
"""Measured; all others take a few seconds each and come as they come."""

_PLACES = {f"tests/{name}": place for place, name in enumerate(LONGEST)}


def longest_first(items: list[pytest.Item]) -> None:
    """Sort in place; what is not known keeps its order. Raises UsageError for a name that is no file any more: it would
    say nothing, and the run would end with one long file."""
    if gone := nowhere(LONGEST):
        raise pytest.UsageError(f"tests/order.py names files that are not there: {', '.join(gone)}")
    items.sort(key=lambda item: _PLACES.get(item.nodeid.split("::")[0], len(_PLACES)))


def nowhere(names: Iterable[str]) -> list[str]:
    """Of the names below tests, those that are no files."""
    return [name for name in names if not (Path(__file__).parent / name).is_file()]
