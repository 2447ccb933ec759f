"""The two ways to be refused: by the platform's API (errcode), and by the page's own API (HTTP status)."""

import secrets


class ApiError(Exception):
    """The API peer refuses with one of the platform's own numbers."""

    def __init__(self, errcode: int, hint: str = "") -> None:
        message = ERRMSG[errcode]
        super().__init__(f"{errcode} {message}")
        self.errcode = errcode
        self.errmsg = f"{message}, {hint}" if hint else message


class SimError(Exception):
    """The page's API refuses; ``message`` is Chinese and becomes a toast."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


ERRMSG = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40004: "invalid media type",
    40005: "invalid file type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40009: "invalid image size",
    40013: "invalid appid",
    40014: "invalid access_token",
    40016: "invalid button size",
    40017: "invalid button type",
    40018: "invalid button name size",
    40019: "invalid button key size",
    40020: "invalid button url size",
    40022: "invalid sub button level",
    40023: "invalid sub button size",
    40024: "invalid sub button type",
    40025: "invalid sub button name size",
    40026: "invalid sub button key size",
    40027: "invalid sub button url size",
    40037: "invalid template_id",
    41030: "invalid page",
    43101: "user refuse to accept the msg",
    40052: "invalid action name",
    40053: "invalid action info",
    40066: "invalid url",
    40097: "invalid args",
    40125: "invalid appsecret",
    40164: "invalid ip, not in whitelist",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41005: "media data missing",
    41006: "media_id missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    44001: "empty media data",
    44002: "empty post data",
    44003: "empty news data",
    44004: "empty content",
    45002: "content size out of limit",
    45008: "article size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45029: "qrcode count out of limit",
    45047: "out of response count limit",
    45072: "invalid command",
    45080: "the user has not sent a message recently",
    45081: "already in the requested state",
    46003: "menu no exist",
    47001: "data format error",
    47003: "argument invalid",
    48001: "api unauthorized",
    48006: "forbid to clear quota because of reaching the limit",
    65401: "invalid custom service account",
    76021: "cgi_path not found",
    76022: "could not use this rid: not found, or of another account",
}
"""The platform's words for each number the simulator uses."""


def new_rid() -> str:
    """A request id in the platform's shape: 8-8-8 hex digits."""
    return "-".join(secrets.token_hex(4) for _ in range(3))
