"""What a customer page is made of: who visits, what it asks for, what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from bot.kit.context import Shop
from bot.kit.copy import Copy
from bot.kit.jobs import JobContext
from bot.kit.links import Links
from domain.people.queries import PersonView
from domain.shared.records import record

T = TypeVar("T")


class NotThere(Exception):
    """The page has nothing of that name for this person: answered with 404 and a friendly word."""


@record
class File:
    """A download. ``kind`` is its content type."""

    name: str
    content: str | bytes
    kind: str = "text/csv; charset=utf-8"


Content = Mapping[str, Any]


@record
class Visit:
    """One opening of a page. ``asked``: the query, without the token; ``form``: what was posted, empty otherwise.

    ``part``: what stands behind the page's name in the address, '' mostly. Texts from outside: trust none of them.
    """

    person: PersonView
    session: Session
    now: datetime
    jobs: JobContext
    ends: int
    part: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def copy(self) -> Copy:
        return self.jobs.copy

    @property
    def shop(self) -> Shop:
        return self.jobs.shop

    def link(self, page: str, part: str = "") -> str:
        """The address of another page of the same person, relative, valid no longer than this visit."""
        token = self.token(page)
        return f"/me/{page}{f'/{part}' if part else ''}?t={token}"

    def token(self, page: str) -> str:
        """What a form puts into its hidden field ``t``."""
        return self.tool(Links).sign_until(page, self.person.id, self.ends)

    def tool(self, kind: type[T]) -> T:
        """The one instance of ``kind`` that this process holds."""
        return self.jobs.tool(kind)


@record
class Page:
    """``/me/<name>``, shown by ``assets/templates/h5/<name>.html`` with what ``show`` gives; see the package."""

    name: str
    show: Callable[[Visit], Content | File]
    posts: bool = False
    sdk: bool = False
    """Whether the script uses WeChat's JS-SDK: then ``/me/<name>.sign`` signs this page's address."""
    tags: bool = False
    """Whether it shows open tags of WeChat: those bring a frame and a style of their own."""
    script: str = ""
    """A file of assets/static/h5 that the page may run, served as ``/me/<script>``; most pages need none."""
