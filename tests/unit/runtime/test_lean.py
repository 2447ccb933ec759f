"""What is left out of every process is missed by nobody: a service is built without it."""

import subprocess
import sys

PROGRAM = """
import sys
from bot.runtime import lean
lean.leave_out()
import bot.runtime.app, bot.runtime.worker, redis
from bot.runtime.gateways.transport import WeChatClient
from wechatpy.replies import TransferCustomerServiceReply
assert WeChatClient("app", "").message and redis.Redis(host="nowhere").pipeline() is not None
assert "transfer_customer_service" in TransferCustomerServiceReply(source="a", target="b").render()
left = {"wechatpy.pay", "wechatpy.component", "redis.asyncio.client", "rich.console", "chardet.universaldetector"}
print("loaded:", *sorted(left & sys.modules.keys()))
"""


def test_a_service_is_built_without_what_nobody_uses() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.split()) == (0, ["loaded:"]), ran.stderr
