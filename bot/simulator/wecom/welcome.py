"""The welcome message: one for each code, within twenty seconds, and only before anybody has said a word."""

from datetime import timedelta

from bot.simulator.store import row, run
from bot.simulator.wecom import contacts, contents
from bot.simulator.wecom.endpoint import OK, Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError

LIFE = timedelta(seconds=20)
"""Of business time, from the event on."""


def send(call: Call) -> Answer:
    """POST externalcontact/send_welcome_msg {welcome_code, text?, attachments?}."""
    code = call.text("welcome_code", 41049)
    known = row(call.connection, "select * from sim.welcomes where code = :code and account = :account",
                code=code, account=call.corp.account)
    if known is None:
        raise CorpError(41050)
    held = row(call.connection, "select * from sim.welcomes where code = :code for update skip locked", code=code)
    if held is None:
        raise CorpError(41096)
    contact = contacts.find(call.connection, call.corp, held["userid"], held["external_userid"])
    if held["sent_at"] is not None or contact is None or contact["talked_at"] is not None:
        raise CorpError(41051)
    if held["until"] < call.now or contact["left_at"] is not None or contact["removed_at"] is not None:
        raise CorpError(41050)
    bubbles = contents.read(call)
    run(call.connection, "update sim.welcomes set sent_at = :now where code = :code", code=code, now=call.now)
    contents.show(call, contact, bubbles, "welcome")
    return OK


ENDPOINTS = {"externalcontact/send_welcome_msg": Endpoint(send)}
