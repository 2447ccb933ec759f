"""What the domain says when it refuses."""


class DomainError(Exception):
    """A rule refused. ``code`` is stable and names a text in assets/copy (``error.<code>``)."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code if not facts else f"{code}: {facts}")
        self.code = code
        self.facts = facts


class Conflict(DomainError):
    """The same key came with other content: never replayed silently, never overwritten."""


class NotFound(DomainError):
    """Nothing is there under that name."""
