"""What libraries load only because it happens to be installed, and nobody here uses: left out.

structlog takes rich for tracebacks that we format ourselves, requests takes charset_normalizer to guess what a text is
written in, which no peer of ours leaves open. Together they are 7 MB of every process and a twentieth of its start.
"""

import sys
import warnings


def leave_out() -> None:
    """Before anything else is imported: both libraries do without when an import fails."""
    for name in ("rich", "charset_normalizer", "chardet"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
