"""Every machine that README promises can install what is pinned: what a library needs only there is pinned, too.

pip takes nothing that is not pinned once hashes are asked for, and the pins are made on one Python: what another one
needs besides (its markers say so) is missed without a word, until somebody has that one.
"""

from collections.abc import Iterator
from importlib.metadata import distribution
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PYTHONS = ("3.11.0", "3.11.2", "3.11.13", "3.12.1", "3.13.0", "3.14.0")
"""Debian 12 has 3.11.2."""
MACHINES = tuple(product((("linux", "Linux"), ("darwin", "Darwin")), ("x86_64", "aarch64", "arm64")))


def pinned(name: str) -> list[Requirement]:
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line.split("--hash")[0] for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [Requirement(line) for line in lines]


def environments() -> Iterator[dict[str, str]]:
    for python, ((platform, system), machine) in product(PYTHONS, MACHINES):
        yield {"python_full_version": python, "implementation_version": python,
               "python_version": python.rsplit(".", 1)[0], "sys_platform": platform, "platform_system": system,
               "platform_machine": machine}


def wanted(one: Requirement, where: dict[str, str]) -> bool:
    """``where`` says what differs from this machine."""
    return one.marker is None or one.marker.evaluate(where)


def missing(pins: list[Requirement], where: dict[str, str]) -> set[str]:
    """Who needs what there that nobody has pinned for there."""
    here = {canonicalize_name(one.name) for one in pins if wanted(one, where)}
    return {
        f"{name} needs {need.name}" for name in here
        if name in INSTALLED
        for need in INSTALLED[name]
        if canonicalize_name(need.name) not in here and wanted(need, where)
    }


INSTALLED = {
    canonicalize_name(one.name): [Requirement(line) for line in distribution(one.name).requires or []]
    for file in ("requirements.txt", "requirements-dev.txt") for one in pinned(file)
    if wanted(one, {})
}


@pytest.mark.parametrize("files", [("requirements.txt",), ("requirements.txt", "requirements-dev.txt")])
def test_what_any_promised_python_needs_is_pinned(files: tuple[str, ...]) -> None:
    pins = [one for file in files for one in pinned(file)]
    assert {fault for where in environments() for fault in missing(pins, where)} == set()


def test_a_library_that_only_an_old_python_needs_would_be_missed() -> None:
    without = [one for one in pinned("requirements.txt") if one.name != "async-timeout"]
    assert {fault for where in environments() for fault in missing(without, where)} == {
        "redis needs async-timeout", "valkey needs async-timeout"}
