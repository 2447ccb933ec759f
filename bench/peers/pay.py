"""A stand-in for WeChat Pay that takes every transfer and signs its answer: ``python -m bench.peers.pay PORT KEY_FILE
KEY_ID``. The key is the platform's; requests are taken as they come, their signatures are not looked at.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def signed(key: RSAPrivateKey, key_id: str, body: bytes) -> dict[str, str]:
    """The headers that make ``body`` the platform's word."""
    stamp, nonce = str(int(time.time())), "bench"
    signature = key.sign(f"{stamp}\n{nonce}\n".encode() + body + b"\n", PKCS1v15(), hashes.SHA256())
    return {"Wechatpay-Timestamp": stamp, "Wechatpay-Nonce": nonce, "Wechatpay-Serial": key_id,
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048"}


async def serve(port: int, key: RSAPrivateKey, key_id: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                           if line.lower().startswith(b"content-length:")), 0)
            number = json.loads(await reader.readexactly(length))["out_bill_no"]
            body = json.dumps({
                "out_bill_no": number, "transfer_bill_no": f"1330{number}", "state": "WAIT_USER_CONFIRM",
                "create_time": "2026-11-20T10:00:00+08:00", "package_info": "package"}).encode()
            lines = "".join(f"{name}: {value}\r\n" for name, value in signed(key, key_id, body).items())
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                         f"{lines}\r\n".encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


if __name__ == "__main__":
    made = load_pem_private_key(Path(sys.argv[2]).read_bytes(), None)
    assert isinstance(made, RSAPrivateKey)
    asyncio.run(serve(int(sys.argv[1]), made, sys.argv[3]))
