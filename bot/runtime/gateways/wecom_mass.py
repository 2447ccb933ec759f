"""Mass messages through a WeCom application: implements ``bot.kit.mass.MassMessages``; a part of ``WeComGateway``."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.kit.gateway import GatewayError, Outcome, SendResult
from bot.kit.mass import Fate, MassTask, Received
from bot.runtime.gateways.attempts import Api
from bot.runtime.gateways.faults import Answer

ADD = Api("externalcontact/add_msg_template", sends=True)
TASKS = Api("externalcontact/get_groupmsg_list_v2")
STAFF = Api("externalcontact/get_groupmsg_task")
RESULT = Api("externalcontact/get_groupmsg_send_result")
REMIND = Api("externalcontact/remind_groupmsg_send", sends=True)
CANCEL = Api("externalcontact/cancel_groupmsg_send")

MAX_MASS = 4_000
"""Bytes of UTF-8 in a mass message. A longer one is no mass message: it is refused here and not cut."""
_PAGE, _LIST_PAGE, _MOST_PAGES = 1_000, 100, 50
_FATES = {0: Fate.WAITS, 1: Fate.SENT, 2: Fate.NOT_FRIEND, 3: Fate.CAP}


class MassCalls:
    """Needs ``_ask`` and ``_send`` of the gateway."""

    def _ask(self, api: Api, body: dict[str, Any] | None = None, params: dict[str, str] | None = None) -> Answer:
        raise NotImplementedError

    def _send(self, api: Api, body: dict[str, Any]) -> SendResult:
        raise NotImplementedError

    def ask_to_send(self, userid: str, external_userids: Sequence[str], text: str) -> MassTask:
        """See the port."""
        if len(text.encode()) > MAX_MASS:
            raise GatewayError(SendResult(Outcome.REJECTED, detail=f"a mass message of more than {MAX_MASS} bytes"))
        answer = self._ask(ADD, {"chat_type": "single", "external_userid": list(external_userids), "sender": userid,
                                 "text": {"content": text}})
        msgid, strangers = answer.get("msgid"), answer.get("fail_list")
        if not isinstance(msgid, str) or not msgid:
            raise GatewayError(SendResult(Outcome.UNKNOWN, detail="a task without its id"))
        return MassTask(msgid, tuple(map(str, strangers)) if isinstance(strangers, list) else ())

    def tasks_like(self, text: str, since: datetime, until: datetime) -> Sequence[str]:
        """See the port."""
        body = {"chat_type": "single", "start_time": int(since.timestamp()), "end_time": int(until.timestamp()) + 1,
                "filter_type": 0, "limit": _LIST_PAGE}
        return [str(one["msgid"]) for one in self._pages(TASKS, body, "group_msg_list")
                if one.get("msgid") and isinstance(one.get("text"), dict) and one["text"].get("content") == text]

    def asked(self, msgid: str) -> Mapping[str, bool]:
        """See the port."""
        return {str(one.get("userid", "")).lower(): one.get("status") == 2
                for one in self._pages(STAFF, {"msgid": msgid, "limit": _PAGE}, "task_list")}

    def received(self, msgid: str, userid: str) -> Mapping[str, Received]:
        """See the port. A status that we do not know counts as waiting."""
        rows = self._pages(RESULT, {"msgid": msgid, "userid": userid, "limit": _PAGE}, "send_list")
        return {str(one.get("external_userid", "")): _received(one) for one in rows}

    def remind(self, msgid: str) -> SendResult:
        """See the port."""
        return self._send(REMIND, {"msgid": msgid})

    def cancel(self, msgid: str) -> SendResult:
        """See the port."""
        return self._send(CANCEL, {"msgid": msgid})

    def _pages(self, api: Api, body: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
        cursor = ""
        for _ in range(_MOST_PAGES):
            answer = self._ask(api, {**body, **({"cursor": cursor} if cursor else {})})
            rows = answer.get(name)
            yield from (one for one in rows if isinstance(one, dict)) if isinstance(rows, list) else ()
            cursor = str(answer.get("next_cursor") or "")
            if not cursor:
                return


def _received(row: dict[str, Any]) -> Received:
    status, at = row.get("status"), row.get("send_time")
    fate = _FATES.get(status, Fate.WAITS) if isinstance(status, int) else Fate.WAITS
    told = fate is Fate.SENT and isinstance(at, int) and at > 0
    return Received(fate, datetime.fromtimestamp(at, UTC) if told and isinstance(at, int) else None)
