"""The PEM files of a merchant account, as the accounts file names them: checked, and told where to find them."""

from collections.abc import Callable
from typing import Any

from bot.runtime import pem
from bot.runtime.faulty import Faulty
from bot.runtime.secret import Secret


def private_key(raw: Any) -> Secret:
    """Raises Faulty."""
    return Secret(_text(pem.private_key_problem, "private_key_file", "apiclient_key.pem", raw))


def public_key(raw: Any) -> str:
    """Raises Faulty."""
    return _text(pem.public_key_problem, "public_key_file", "pub_key.pem", raw)


def certificate(raw: Any) -> str:
    """Raises Faulty."""
    return _text(pem.certificate_problem, "certificate_file", "apiclient_cert.pem", raw)


def _text(problem_of: Callable[[str], str], key: str, file: str, raw: Any) -> str:
    if problem := problem_of(str(raw)):
        raise Faulty(problem, f"point {key} at the {file} of the merchant platform")
    return str(raw)
