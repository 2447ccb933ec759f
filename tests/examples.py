"""How many examples a property is tried with: a few in every run, others each time; many in ``make torture``."""

import os
from typing import Any

from hypothesis import settings

MANY = int(os.environ.get("HUITOU_EXAMPLES", "0"))


def examples(few: int, **more: Any) -> settings:
    """``few`` of them, or HUITOU_EXAMPLES where those are more. The rest: as hypothesis's ``settings``."""
    return settings(max_examples=max(few, MANY), deadline=None, **more)
