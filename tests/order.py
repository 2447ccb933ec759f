"""In which order files are begun: what takes longest first, so that at the end no core waits for one long file.

pytest-xdist begins with the files that hold the most tests, which are the quickest, and ended with one process that
killed houses alone for two minutes.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

LONGEST = (
    "e2e/test_kills.py", "dialogs/test_roles.py", "integration/payouts/test_taken_back.py",
    "dialogs/test_shipped_journeys.py", "dialogs/test_stages.py", "dialogs/test_taken_back.py",
    "dialogs/test_shots_otherwise.py", "dialogs/test_journeys.py", "dialogs/test_withdrawals.py",
    "web/test_story_browser.py", "dialogs/test_nasty_journeys.py", "dialogs/test_staff_way.py",
    "integration/platform/test_deployment.py", "dialogs/test_leaving.py", "dialogs/test_membership.py",
    "unit/pictures/test_poster.py", "integration/money/test_merged_bookings.py", "web/test_simulator_page.py",
    "integration/journeys/test_rehearsal.py", "dialogs/test_shots.py", "dialogs/test_journey_edges.py",
    "dialogs/test_experiments.py", "dialogs/test_progress.py", "integration/gateways/test_tokens.py",
    "e2e/test_story_http.py", "dialogs/test_topics.py", "e2e/test_payout_kills.py", "dialogs/test_wecom.py",
    "dialogs/test_packets.py", "integration/people/test_graph_races.py", "integration/payouts/test_once.py",
    "integration/money/test_machine.py", "integration/dispatch/test_delivery.py", "integration/platform/test_up.py",
    "integration/money/test_month_count.py", "e2e/test_token.py", "integration/money/test_month_properties.py",
    "integration/money/test_reconcile.py", "web/test_ops.py", "integration/payouts/test_money.py",
    "integration/platform/test_doctor.py", "integration/money/test_one_truth.py", "integration/payouts/test_packets.py",
    "integration/payouts/test_recall.py", "dialogs/test_wecom_tags.py", "integration/money/test_nasty.py",
    "dialogs/test_earned.py", "dialogs/test_manners.py", "integration/money/test_books.py", "dialogs/test_story.py",
    "dialogs/test_every_picture_held.py", "unit/pictures/test_shelf.py", "integration/points/test_life.py",
    "dialogs/test_paying_out.py", "integration/test_migrations.py", "dialogs/test_held_pictures.py",
    "dialogs/test_words.py", "integration/simulator/test_api.py", "integration/money/test_nasty_more.py",
    "integration/dispatch/test_together.py", "integration/simulator/test_wecom.py",
    "integration/simulator/test_held_picture.py", "dialogs/test_months.py", "dialogs/test_called_back.py",
    "integration/dispatch/test_population.py", "integration/risk/test_holds.py", "integration/risk/test_watch.py",
    "web/test_any_door.py", "integration/gateways/test_wire.py", "dialogs/test_spoken.py", "dialogs/test_why.py",
    "integration/simulator/test_broadcast.py", "integration/gateways/test_secrets.py",
    "dialogs/test_statement_sources.py", "integration/payouts/test_watch.py", "integration/points/test_taking.py",
)
"""By the CPU that they and their servers take, down to four seconds; all others come as they come."""

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
