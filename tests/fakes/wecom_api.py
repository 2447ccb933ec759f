"""A strict little WeCom API on loopback, with the Official Account's script of faults; shares no code with the service.

What employees and customers do there is told to the service by whoever holds the ``Wire`` (see ``Corp`` in fakes.corp).
"""

import itertools
import time
from typing import Any

from tests.fakes.wechat_api import Call, WeChatApi

HINT = "hint: [1700000000123456], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query"


def error(code: int) -> dict[str, Any]:
    return {"errcode": code, "errmsg": f"scripted, {HINT}?e={code}"}


class WeComApi(WeChatApi):
    """Start it with ``with WeComApi("ww1", "secret", ["seller01"]) as peer``."""

    def __init__(self, corp_id: str, secret: str, staff: list[str]) -> None:
        super().__init__(corp_id, secret)
        self.staff = staff
        self.contacts: dict[str, dict[str, Any]] = {}
        """external_userid -> name, unionid; who follows is ``follows``."""
        self.follows: dict[tuple[str, str], dict[str, Any]] = {}
        """(userid, external_userid) -> state and tag ids."""
        self.codes: dict[str, tuple[str, str, float]] = {}
        """welcome code -> whose it is, and until when (real time) it is good."""
        self.welcomes: list[tuple[str, str, str]] = []
        """(userid, external_userid, text) as the customers got them."""
        self.groups: dict[str, dict[str, str]] = {}
        """group -> tag name -> tag id."""
        self.most_tags = 3_000
        self.ways: dict[str, dict[str, Any]] = {}
        self.told: list[tuple[str, str]] = []
        self._numbers = itertools.count(1)

    def act(self, call: Call) -> dict[str, Any]:
        with self._lock:
            if call.api == "gettoken":
                return self._gettoken(call)
            if call.query.get("access_token", "") not in self.good:
                return error(40014)
            found = getattr(self, "_" + call.api.replace("/", "_"), None)
            return found(call) if found else error(40066)

    def friends(self, userid: str, external: str, name: str = "", unionid: str = "", state: str = "") -> str:
        """The two are friends now; returns the welcome code."""
        known = self.contacts.setdefault(external, {"name": name, "unionid": unionid})
        known.update({key: value for key, value in (("name", name), ("unionid", unionid)) if value})
        self.follows[userid, external] = {"state": state, "tags": set()}
        code = f"WC{next(self._numbers)}"
        self.codes[code] = (userid, external, time.time() + 20)
        return code

    def tags_of(self, userid: str, external: str) -> set[str]:
        """Names of the tags that an employee sees on a customer."""
        names = {tag_id: name for tags in self.groups.values() for name, tag_id in tags.items()}
        return {names[tag_id] for tag_id in self.follows[userid, external]["tags"]}

    def _gettoken(self, call: Call) -> dict[str, Any]:
        if call.query.get("corpid") != self.app_id:
            return error(40013)
        if call.query.get("corpsecret") != self.secret:
            return error(40001)
        if not self.good:
            self._mint(kill=True)
        return {"errcode": 0, "errmsg": "ok", "access_token": self.tokens[-1], "expires_in": self.expires_in}

    def _externalcontact_get(self, call: Call) -> dict[str, Any]:
        external = call.query.get("external_userid", "")
        if external not in self.contacts:
            return error(40096)
        known = self.contacts[external]
        who = {"external_userid": external, "name": known["name"], "avatar": "https://example.invalid/a.png", "type": 1}
        who |= {"unionid": known["unionid"]} if known["unionid"] else {}
        followers = [{"userid": userid, "state": one["state"], "createtime": int(time.time()),
                      "tags": [{"tag_id": tag, "type": 1} for tag in sorted(one["tags"])]}
                     for (userid, theirs), one in self.follows.items() if theirs == external]
        return {"errcode": 0, "errmsg": "ok", "external_contact": who, "follow_user": followers}

    def _externalcontact_send_welcome_msg(self, call: Call) -> dict[str, Any]:
        userid, external, until = self.codes.get(call.body["welcome_code"], ("", "", 0.0))
        if time.time() > until:
            return error(41050)
        if any(one[:2] == (userid, external) for one in self.welcomes):
            return error(41051)
        text = call.body["text"]["content"]
        if not 0 < len(text.encode()) <= 4000:
            return error(40058)
        self.welcomes.append((userid, external, text))
        return {"errcode": 0, "errmsg": "ok"}

    def _externalcontact_get_corp_tag_list(self, call: Call) -> dict[str, Any]:
        groups = [{"group_id": f"etG{n}", "group_name": group,
                   "tag": [{"id": tag_id, "name": name} for name, tag_id in tags.items()]}
                  for n, (group, tags) in enumerate(self.groups.items())]
        return {"errcode": 0, "errmsg": "ok", "tag_group": groups}

    def _externalcontact_add_corp_tag(self, call: Call) -> dict[str, Any]:
        group, names = call.body["group_name"], [one["name"] for one in call.body["tag"]]
        known = self.groups.setdefault(group, {})
        if not all(0 < len(name) <= 30 for name in names) or len(group) > 30:
            return error(40058)
        if any(name in known for name in names) or sum(map(len, self.groups.values())) >= self.most_tags:
            return error(40071)
        known |= {name: f"et{next(self._numbers)}" for name in names}
        return {"errcode": 0, "errmsg": "ok", "tag_group": {
            "group_id": "etG", "group_name": group, "tag": [{"id": known[name], "name": name} for name in names]}}

    def _externalcontact_mark_tag(self, call: Call) -> dict[str, Any]:
        body, known = call.body, {tag_id for tags in self.groups.values() for tag_id in tags.values()}
        one = self.follows.get((body["userid"], body["external_userid"]))
        if one is None:
            return error(84061)
        if not known.issuperset(body.get("add_tag", [])):
            return error(40068)
        one["tags"] = (one["tags"] | set(body.get("add_tag", []))) - set(body.get("remove_tag", []))
        return {"errcode": 0, "errmsg": "ok"}

    def _externalcontact_add_contact_way(self, call: Call) -> dict[str, Any]:
        body = call.body
        if body["user"][0] not in self.staff or len(body["user"]) != 1:
            return error(40003)
        if len(body["state"]) > 30 or len(body["remark"]) > 30:
            return error(40058)
        config_id = f"cfg{next(self._numbers)}"
        self.ways[config_id] = body
        return {"errcode": 0, "errmsg": "ok", "config_id": config_id,
                "qr_code": f"https://wework.qpic.cn/wwpic/{config_id}"}

    def _externalcontact_get_follow_user_list(self, call: Call) -> dict[str, Any]:
        return {"errcode": 0, "errmsg": "ok", "follow_user": self.staff}

    def _message_send(self, call: Call) -> dict[str, Any]:
        if call.body["touser"] not in self.staff:
            return error(81013)
        self.told.append((call.body["touser"], call.body["text"]["content"]))
        return {"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": "MSGID_1"}
