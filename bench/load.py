"""The load: one process, some keep-alive connections, each asks again as soon as it was answered (a closed loop).

Reads a job as one JSON line, makes every request beforehand so that its own work is only to send and to read, prints
``ready``, waits for ``go``, and prints what it saw as one JSON line. A job has port, path, connections, seconds,
how many requests to make (``stock``), keys, senders, ``kind``, ``first`` (the first message id), ``repeat`` (every
request is the same message) and ``starts`` (what a right answer's body begins with).
"""

import json
import secrets
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from bot.runtime.channels.crypto import Envelope, signature

_SAID = {
    "wallet": "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[佣金]]></Content><MsgId>{number}</MsgId>",
    "view": "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[VIEW]]></Event>"
            "<EventKey><![CDATA[https://shop.example/{number}]]></EventKey>",
}
"""What is said, by the job's ``kind``: a question about money, or an event that nobody answers."""


def requests(job: dict[str, Any]) -> list[bytes]:
    """Whole HTTP requests, each an encrypted callback of its own."""
    envelope = Envelope(job["aes_key"], job["app_id"])
    stamp = str(int(time.time()))
    return [_request(job, envelope, stamp, number) for number in range(1 if job["repeat"] else job["stock"])]


def _request(job: dict[str, Any], envelope: Envelope, stamp: str, number: int) -> bytes:
    sender = job["senders"][number % len(job["senders"])]
    said = _SAID[job["kind"]].format(number=job["first"] + number)
    message = (
        f"<xml><ToUserName><![CDATA[{job['original_id']}]]></ToUserName><FromUserName><![CDATA[{sender}]]></FromUserName>"
        f"<CreateTime>{stamp}</CreateTime>{said}</xml>"
    )
    sealed, nonce, token = envelope.seal(message.encode()), secrets.token_hex(5), job["token"].encode()
    query = urlencode({
        "signature": signature((token, stamp.encode(), nonce.encode())), "timestamp": stamp, "nonce": nonce,
        "openid": sender, "encrypt_type": "aes",
        "msg_signature": signature((token, stamp.encode(), nonce.encode(), sealed)),
    })
    body = (f"<xml><ToUserName><![CDATA[{job['original_id']}]]></ToUserName>"
            f"<Encrypt><![CDATA[{sealed.decode()}]]></Encrypt></xml>").encode()
    return (f"POST {job['path']}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def run(job: dict[str, Any], stock: list[bytes]) -> dict[str, Any]:
    """Ask until the time is over or the requests are."""
    picker = selectors.DefaultSelector()
    lines = [_connect(job["port"]) for _ in range(job["connections"])]
    queue = _endless(stock) if job["repeat"] else iter(stock)
    starts, waits, wrong = job["starts"].encode(), [], []
    asked: dict[socket.socket, float] = {}
    rests: dict[socket.socket, bytes] = {}
    begun = now = time.perf_counter()
    for line in lines:
        picker.register(line, selectors.EVENT_READ, line)
        asked[line], rests[line] = now, b""
        line.sendall(next(queue))
    end = begun + job["seconds"]
    while now < end:
        for key, _ in picker.select(1.0):
            line = key.data
            answer = rests[line] + line.recv(65536)
            body = _body(answer)
            if body is None:
                rests[line] = answer
                continue
            now = time.perf_counter()
            waits.append(now - asked[line])
            if not (answer.startswith(b"HTTP/1.1 200") and body.startswith(starts)):
                wrong.append(answer[:300].decode(errors="replace"))
            request = next(queue, None)
            if request is None:
                end = now
                break
            asked[line], rests[line] = now, b""
            line.sendall(request)
    for line in lines:
        line.close()
    waits.sort()
    return {"answers": len(waits), "wrong": wrong[:1], "seconds": now - begun, "ran_out": now < begun + job["seconds"],
            "p99_ms": waits[len(waits) * 99 // 100] * 1e3}


def _connect(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def _endless(stock: list[bytes]) -> Iterator[bytes]:
    while True:
        yield from stock


def _body(answer: bytes) -> bytes | None:
    """The body of a complete answer, None while some of it is missing. Raises RuntimeError when there is no length."""
    head, gap, body = answer.partition(b"\r\n\r\n")
    if not gap:
        if not answer:
            raise RuntimeError("the server hung up")
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return body if len(body) >= int(value) else None
    raise RuntimeError(f"an answer without a length: {head[:300]!r}")


def main() -> None:
    job = json.loads(sys.stdin.readline())
    stock = requests(job)
    print("ready", flush=True)
    if sys.stdin.readline().strip() == "go":
        print(json.dumps(run(job, stock)), flush=True)


if __name__ == "__main__":
    main()
