"""The PEM files of a merchant account, as the accounts file names them: checked, and told where to find them.

What reads them is loaded where there are some (see ``demo_keys``).
"""

from typing import Any

from bot.runtime.faulty import Faulty
from bot.runtime.secret import Secret


def private_key(raw: Any) -> Secret:
    """Raises Faulty."""
    from bot.runtime import pem

    return Secret(_text(pem.private_key_problem(str(raw)), "private_key_file", "apiclient_key.pem", raw))


def public_key(raw: Any) -> str:
    """Raises Faulty."""
    from bot.runtime import pem

    return _text(pem.public_key_problem(str(raw)), "public_key_file", "pub_key.pem", raw)


def certificate(raw: Any) -> str:
    """Raises Faulty."""
    from bot.runtime import pem

    return _text(pem.certificate_problem(str(raw)), "certificate_file", "apiclient_cert.pem", raw)


def _text(problem: str, key: str, file: str, raw: Any) -> str:
    if problem:
        raise Faulty(problem, f"point {key} at the {file} of the merchant platform")
    return str(raw)
