"""Flask applications to measure against; one is picked by BENCH_APP. Keys and addresses come from the environment.

insert    one prepared INSERT + COMMIT over a connection pool, then ``success`` (the floor of B1)
bare      reads the body, ``success`` (the floor of B2)
werobot   WeRoBot with its default session store, answering a text of the same length (the peer of B1)
wechatpy  verify, decrypt and parse with wechatpy, ``success`` (the peer of B2)
"""

import os
from collections.abc import Callable

from flask import Flask, request

app = Flask("peer")
ENV = os.environ
PATH = "/wechat/bench"


@app.get("/up")
def up() -> str:
    return "up"


def insert() -> None:
    from psycopg_pool import ConnectionPool

    threads = int(ENV["BENCH_THREADS"])
    pool = ConnectionPool(ENV["BENCH_DATABASE"], min_size=threads, max_size=threads, open=True,
                          kwargs={"autocommit": True, "prepare_threshold": 0})
    pool.wait()
    statement = "insert into floor_message (sender, said) values (%s, %s)"

    @app.post(PATH)
    def view() -> str:
        with pool.connection() as db:
            db.execute(statement, ("oSomebody", "some text of a usual length"), prepare=True)
        return "success"


def bare() -> None:
    @app.post(PATH)
    def view() -> str:
        request.get_data()
        return "success"


def werobot() -> None:
    from werobot import WeRoBot
    from werobot.contrib.flask import make_view

    robot = WeRoBot(token=ENV["BENCH_TOKEN"], app_id=ENV["BENCH_APP_ID"], encoding_aes_key=ENV["BENCH_AES_KEY"])
    words = ENV["BENCH_WORDS"]
    assert robot.session_storage  # made at first use: two threads would make two, and lock each other out of the file

    @robot.text
    def answer() -> str:
        return words

    app.add_url_rule(PATH, "robot", make_view(robot), methods=["POST"])


def wechatpy() -> None:
    from wechatpy import parse_message
    from wechatpy.crypto import WeChatCrypto

    crypto = WeChatCrypto(ENV["BENCH_TOKEN"], ENV["BENCH_AES_KEY"], ENV["BENCH_APP_ID"])

    @app.post(PATH)
    def view() -> str:
        args = request.args
        opened = crypto.decrypt_message(request.data, args["msg_signature"], args["timestamp"], args["nonce"])
        assert parse_message(opened).source
        return "success"


APPS: dict[str, Callable[[], None]] = {"insert": insert, "bare": bare, "werobot": werobot, "wechatpy": wechatpy}
APPS[ENV["BENCH_APP"]]()
