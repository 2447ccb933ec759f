"""How the payment API refuses: an HTTP status, one of the platform's codes, and its words."""


class PayError(Exception):
    """``code`` is the platform's own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code, self.message = status, code, message
