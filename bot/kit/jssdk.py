"""Pages that use WeChat's JS-SDK: their signature, made with a ticket that never leaves the server.

Source: developers.weixin.qq.com, JS-SDK, appendix on the signature. What the browser does with it: assets/static/h5.
"""

from collections.abc import Callable
from dataclasses import dataclass

SCRIPT = "https://res.wx.qq.com/open/js/jweixin-1.6.0.js"
"""The platform's own script; it must be loaded from there."""


@dataclass(frozen=True, slots=True)
class PageSignature:
    """What ``wx.config`` is given. ``timestamp`` is unix time."""

    app_id: str
    timestamp: int
    nonce: str
    signature: str


@dataclass(frozen=True, slots=True)
class JsSdk:
    """``sign(app_id, url)`` signs one address, without its fragment, for one Official Account; it raises KeyError for
    an account that is not ours and GatewayError when the platform gives no ticket. It calls out: use it with no
    transaction open. ``script`` is what a page must load first, '' where there is nobody to load it from (the demo)."""

    sign: Callable[[str, str], PageSignature]
    script: str = SCRIPT
