"""How WeCom's API refuses: its own numbers, which are not those of the Official Account (40001 is a bad secret)."""

import secrets
import time


class CorpError(Exception):
    """The API peer refuses with one of WeCom's own numbers."""

    def __init__(self, errcode: int, hint: str = "") -> None:
        self.errcode = errcode
        self.what = f"{ERRMSG.get(errcode, 'unknown error')}{f' [{hint}]' if hint else ''}"
        super().__init__(f"{errcode} {self.what}")

    def errmsg(self, client: str) -> str:
        """The words of the answer, with the hint, the caller's address and the link that WeCom adds."""
        return (f"{self.what}, hint: [{int(time.time())}_{secrets.token_hex(16)}], from ip: {client}, "
                f"more info at https://open.work.weixin.qq.com/devtool/query?e={self.errcode}")


ERRMSG = {
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid userid",
    40004: "invalid media type",
    40005: "invalid file type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40009: "invalid image size",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40033: "invalid character, \\u escapes are not accepted",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40063: "some parameters are empty",
    40068: "invalid tagid",
    40071: "tag name existed",
    40096: "invalid external userid",
    41001: "access_token missing",
    41002: "corpid missing",
    41004: "corpsecret missing",
    41037: "invalid contact way config id",
    41041: "invalid user list of the contact way",
    41045: "contact way count out of limit",
    41047: "invalid msgid",
    41048: "no customer to send",
    41049: "missing welcome code",
    41050: "invalid welcome code",
    41051: "the customer has been welcomed or the chat has started",
    41054: "the member is not activated",
    41093: "the mass message is over",
    41094: "remind out of limit",
    41096: "another application is sending the welcome message",
    42001: "access_token expired",
    43002: "require POST method",
    44001: "empty media data",
    44002: "empty post data",
    44004: "empty content",
    45009: "api freq out of limit",
    45033: "api concurrent out of limit",
    47001: "data format error",
    48002: "api forbidden",
    60011: "no privilege to access/modify contact",
    60020: "not allow to access from your ip",
    81013: "user & party & tag all invalid",
    84061: "not external contact relation",
}
"""WeCom's words for each number the simulator uses."""
