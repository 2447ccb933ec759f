"""A call with the account's token: refused once, the token is renewed once; never again."""

from dataclasses import replace
from typing import TypeGuard

from bot.kit.gateway import Outcome
from bot.runtime.gateways.attempts import Api, Attempts
from bot.runtime.gateways.faults import Answer, Kind, Refusal
from bot.runtime.gateways.tokens import TokenHolder
from bot.runtime.gateways.transport import Act


class Calls:
    """What the gateway and the media cache call the platform through."""

    def __init__(self, attempts: Attempts, tokens: TokenHolder) -> None:
        self._attempts = attempts
        self._tokens = tokens

    def run(self, api: Api, act: Act) -> Answer | Refusal:
        """The platform's answer, or why there is none. ``act`` may run several times: it opens its own streams."""
        token = self._tokens.current()
        if isinstance(token, Refusal):
            return token
        answer = self._attempts.run(api, act, token)
        if not _token_refused(answer):
            return answer
        renewed = self._tokens.renew(token, answer.result.errcode)
        if isinstance(renewed, Refusal):
            self._rest(api, renewed)
            return renewed
        answer = self._attempts.run(api, act, renewed)
        if not _token_refused(answer):
            return answer
        detail = f"token refused after a refresh {answer.result.detail}".rstrip()
        return replace(answer, result=replace(answer.result, outcome=Outcome.CONFIG, detail=detail))

    def _rest(self, api: Api, refusal: Refusal) -> None:
        if refusal.result.retry_at:
            self._attempts.hold_back(api, refusal.result, refusal.result.retry_at)


def _token_refused(answer: Answer | Refusal) -> TypeGuard[Refusal]:
    return isinstance(answer, Refusal) and answer.kind is Kind.TOKEN
