"""The stages from an exact word to asking back. Each takes a message and answers, or passes it on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bot.runtime.understanding import arguments, normalise
from bot.runtime.understanding.fillers import Trimmer
from bot.runtime.understanding.lexicon import Intent, Lexicon, WordsByFirst
from bot.runtime.understanding.result import MOST_CANDIDATES, Certainty, Understanding
from bot.runtime.understanding.similar import Similar
from domain.notices import hours
from domain.shared.amounts import share
from domain.shared.numerals import choice

_SCANNED = 256
"""Characters of a message searched for words; the rest of an essay changes nothing."""
_LONGEST_OFFERED = 48
"""Letters or characters of a message whose sound is compared with words that count only alone (退丁 for 退订)."""
_ESSAY = 10
"""With more than this many characters left unexplained, the word was probably mentioned, not meant."""


@dataclass(frozen=True)
class Hit:
    """A word found inside a message."""

    start: int
    end: int
    intent: Intent


class Message:
    """One message in the forms the stages compare, each made when first needed."""

    def __init__(self, raw: str, polite: Trimmer, asking: Trimmer) -> None:
        self.raw = raw
        self.plain = normalise.plain(raw)
        self._polite = polite
        self._asking = asking

    @cached_property
    def polite(self) -> str:
        """Without politeness; a message that is nothing else stays as it is."""
        return self._polite.trim(self.plain[:_SCANNED]) + self.plain[_SCANNED:] or self.plain

    @cached_property
    def text(self) -> str:
        """``polite`` in lower case, cut to what is searched."""
        return normalise.lower(self.polite[:_SCANNED])

    @cached_property
    def core(self) -> str:
        """What is asked for: ``polite`` without "give me", "let me see" and the like."""
        return self._asking.trim(self.polite[:_SCANNED])

    def forms(self) -> Iterator[str]:
        """The different forms, as typed first: a word, or a slip for one, may look like a greeting (嗨报)."""
        yield self.plain
        if self.polite != self.plain:
            yield self.polite
        if self.core not in ("", self.polite, self.plain):
            yield self.core


class Matcher:
    """Understands messages by one lexicon. Immutable once built, so threads may share it."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._exact = WordsByFirst(lexicon.exact)
        self._inside = WordsByFirst(lexicon.inside)
        offered = {w: i.name for i in lexicon.intents.values() if i.offered for w in i.all_words if len(w) > 1}
        self._offered = {normalise.lower(word): name for word, name in offered.items()}
        self._sound = lexicon.sound
        self._offered_sounds = {self._sound.letters(word): name for word, name in self._offered.items()
                                if not word.isascii()}
        fillers = lexicon.fillers
        self._polite = Trimmer(fillers.polite_before, fillers.polite_after, fillers.protected)
        self._asking = Trimmer(
            fillers.polite_before + fillers.asking_before,
            fillers.polite_after + fillers.asking_after,
            fillers.protected,
        )
        self._similar = Similar(lexicon)
        self._timed = next((one.name for one in lexicon.intents.values() if one.argument == "hours"), "")

    def understand(self, raw: str) -> Understanding:
        """What ``raw`` means. Total: any str is answered, in bounded work."""
        message = Message(raw, self._polite, self._asking)
        if not any(char.isalpha() for char in message.plain[:_SCANNED]):
            return self._nothing(message)
        return (
            self._about_hours(message)
            or self._exactly(message)
            or self._of_an_amount(message)
            or self._inside_sentence(message)
            or self._by_sound(message)
            or self._offer_whole_words(message)
            or self._by_likeness(message)
            or self._nothing(message)
        )

    # Stage 0: a time of day with what is not to happen then; its words mean other things when they stand alone.

    def _about_hours(self, message: Message) -> Understanding | None:
        """The argument is the message as it is: handlers read it with ``domain.notices.hours``."""
        if not self._timed or len(message.plain) > hours.LONGEST or hours.find(message.plain) is None:
            return None
        return self._answer(message, self._timed, message.plain, "exact")

    # Stage 1: the whole message is a word, or a word and its argument.

    def _exactly(self, message: Message) -> Understanding | None:
        for form in message.forms():
            found = self._whole(message, form)
            # An argument is cut from what politeness left: "海报，谢谢" asks for no product called 谢谢.
            if not found and (form != message.plain or form == message.polite):
                found = self._word_and_argument(message, form)
            if found:
                return found
        return None

    def _whole(self, message: Message, form: str) -> Understanding | None:
        text = normalise.lower(form)
        name = self._lexicon.exact.get(text) or self._lexicon.exact.get(text.replace(" ", ""))
        # Consent is not read out of "how do I …": only politeness may have been around it.
        if not name or (self._lexicon.intents[name].whole_only and form not in (message.plain, message.polite)):
            return None
        return self._found(message, form, name, "")

    def _word_and_argument(self, message: Message, form: str) -> Understanding | None:
        text = normalise.lower(form)
        for word in self._exact.starting(text):
            intent = self._lexicon.intents[self._lexicon.exact[word]]
            argument = self._argument(intent, form[len(word) :])
            if argument and not _guarded(intent, text, 0, len(word)):
                return self._found(message, form, intent.name, self._in_full(message, intent, word, argument))
        return None

    def _argument(self, intent: Intent, rest: str) -> str | None:
        return arguments.after_word(intent.argument, rest, self._lexicon.chatter, self._lexicon.everything)

    def _in_full(self, message: Message, intent: Intent, word: str, argument: str) -> str:
        """Free text goes on as it was typed, whatever was evened out to find the word."""
        return arguments.as_typed(message.raw, word) or argument if intent.free else argument

    def _found(self, message: Message, form: str, name: str, argument: str) -> Understanding:
        # Money moves at a word only if nothing had to be taken off to see it.
        loose = self._lexicon.intents[name].money and form != message.plain
        return self._answer(message, name, argument, "contained" if loose else "exact")

    def _of_an_amount(self, message: Message) -> Understanding | None:
        """A word that means something only with an amount behind it, and nothing else said: 提100, 我要提三百块."""
        for form in message.forms():
            for word, name in self._lexicon.before_amount.items():
                argument = form[len(word) :].strip()
                if normalise.lower(form).startswith(word) and arguments.is_sum(argument):
                    return self._answer(message, name, argument, "contained")
        return None

    # Stage 2: a word inside a sentence.

    def _inside_sentence(self, message: Message) -> Understanding | None:
        hits = self._resolve(self._hits(message.text), message.text)
        names = tuple(dict.fromkeys(hit.intent.name for hit in hits))
        if len(names) != 1:
            return self._ask(message, names) if names else None
        hit = hits[-1]
        if any(doubt in message.text for doubt in hit.intent.doubts):
            return self._ask(message, hit.intent.offer)
        if self._unexplained(message, hit) > _ESSAY and not hit.intent.free:
            return self._ask(message, names)
        return self._answer(message, names[0], self._argument_around(message, hit), "contained")

    def _hits(self, text: str) -> list[Hit]:
        hits = []
        at = 0
        while at < len(text):
            word = self._inside.longest(text, at)
            if word:
                intent = self._lexicon.intents[self._lexicon.inside[word]]
                hits.append(Hit(at, at + len(word), intent))
            at += len(word) or 1
        return [hit for hit in hits if self._counts(hit, text)]

    def _counts(self, hit: Hit, text: str) -> bool:
        if _guarded(hit.intent, text, hit.start, hit.end) or self._negated(hit, text):
            return False
        word = text[hit.start : hit.end]
        if word.isascii() and not _stands_alone(text, hit.start, hit.end):
            return False
        if not hit.intent.needs:
            return True
        return any(need in text for need in hit.intent.needs) or bool(arguments.number_inside(text))

    def _negated(self, hit: Hit, text: str) -> bool:
        """Is the word refused: 不要提现, 别给我发海报?"""
        negation = self._lexicon.negation
        words = [w for w in negation.words if hit.intent.money or w not in negation.money_only]
        before = text[max(0, hit.start - 12) : hit.start]
        while before:
            if before.endswith(negation.open_questions):
                return False
            if before.endswith(tuple(words)):
                return True
            shorter = self._last_filler_off(before)
            if shorter == before:
                return False
            before = shorter
        return False

    def _last_filler_off(self, text: str) -> str:
        """One asking word less at the end, so that 别|给|我|发 is seen through."""
        fillers = self._lexicon.fillers.asking_before
        longest = max((word for word in fillers if text.endswith(word)), key=len, default="")
        return text[: len(text) - len(longest)]

    @staticmethod
    def _resolve(hits: list[Hit], text: str) -> list[Hit]:
        """Several words: the strongest, else in a chain (团队的排行) the last, for Chinese heads come last."""
        top = max((hit.intent.priority for hit in hits), default=0)
        hits = [hit for hit in hits if hit.intent.priority == top]
        led_on = {hit for hit, after in pairwise(hits) if text[hit.end : after.start] in ("", "的", " ")}
        return [hit for hit in hits if hit not in led_on]

    def _unexplained(self, message: Message, hit: Hit) -> int:
        """Chinese characters beside the word that are not asking; numbers and codes explain themselves."""
        text = message.text
        rest = self._asking.trim(text[: hit.start]) + self._asking.trim(text[hit.end :])
        return sum(not char.isascii() for char in rest)

    def _argument_around(self, message: Message, hit: Hit) -> str:
        kind = hit.intent.argument
        before, after = message.polite[: hit.start], message.polite[hit.end :]
        if kind == "text":
            # "a poster of the milk": what is named before the word, else after it.
            names = (self._asking.trim(before), self._asking.trim(after))
            return next((name for name in names if arguments.is_name(name, self._lexicon.chatter.words)), "")
        if hit.intent.free:
            rest = after.lstrip(normalise.SEPARATORS)
            return self._in_full(message, hit.intent, message.text[: hit.end], rest) if rest else ""
        if kind == "month":
            return arguments.month_inside(after) or arguments.month_inside(before)
        if kind in ("amount", "reference"):
            month = arguments.month_inside(after) or arguments.month_inside(before)
            if kind == "reference" and "月" in month:
                return month
            number = arguments.number_inside(after) or arguments.number_inside(before)
            return number or (self._part_of_all(before, after) if hit.intent.money else "")
        return ""

    def _part_of_all(self, before: str, after: str) -> str:
        """All there is or a share of it, right before or after the word that moves it (全部提现吧, 把一半提现), or ''.
        """
        beside = (before.strip(), self._asking.trim(before), after.strip(), self._asking.trim(after))
        parts = (said.removeprefix("把") for said in beside)
        return next((said for said in parts if said in self._lexicon.everything or share(said)), "")

    # Stage 3: the same sound, typed in other characters or in letters.

    def _by_sound(self, message: Message) -> Understanding | None:
        for form in message.forms():
            if self._refused(form):
                continue
            for intent, argument in self._similar.same(form, self._argument):
                if not _guarded(intent, message.text):
                    return self._answer(message, intent.name, argument, "sound")
        return self._sound_inside_sentence(message)

    def _sound_inside_sentence(self, message: Message) -> Understanding | None:
        """Money is left out: 体现 inside a sentence is a real word far more often than a slip for 提现."""
        names = []
        for start, end, intent in self._similar.inside(message.text):
            hit = Hit(start, end, intent)
            if intent.money or not self._counts(hit, message.text):
                continue
            if self._ends_request(message, hit):
                return self._answer(message, intent.name, self._argument_around(message, hit), "sound")
            if self._unexplained(message, hit) <= _ESSAY:
                names.append(intent.name)
        return self._ask(message, dict.fromkeys(names)) if names else None

    def _ends_request(self, message: Message, hit: Hit) -> bool:
        """Nothing stands around the word but asking, and for a poster the product's name before it."""
        before = self._asking.trim(message.text[: hit.start])
        if self._asking.trim(message.text[hit.end :]):
            return False
        return not before or (hit.intent.argument == "text" and arguments.is_name(before, self._lexicon.chatter.words))

    def _refused(self, form: str) -> bool:
        return form.startswith(self._lexicon.negation.words)

    # Stage 4: words that only count alone, inside a sentence or misspelt.

    def _offer_whole_words(self, message: Message) -> Understanding | None:
        for form in (message.plain, message.polite):
            if len(form) <= _LONGEST_OFFERED and (
                    name := self._offered_sounds.get(self._sound.letters(normalise.lower(form)))):
                return self._ask(message, (name,))
        for word, name in self._offered.items():
            at = message.text.find(word)
            if at < 0 or not _stands_alone(message.text, at, at + len(word)):
                continue
            hit = Hit(at, at + len(word), self._lexicon.intents[name])
            if not self._negated(hit, message.text):
                return self._ask(message, (name,))
        return None

    # Stage 5: nearly the same sound.

    def _by_likeness(self, message: Message) -> Understanding | None:
        likely: list[str] = []
        for form in message.forms():
            if self._refused(form):
                return None
            verdict = self._similar.near(form, self._argument)
            names = [name for name in verdict.names if not _guarded(self._lexicon.intents[name], message.text)]
            # Money is offered, never taken, on a likeness.
            sure = verdict.sure and names[:1] == [*verdict.names[:1]]
            if sure and not self._lexicon.intents[names[0]].money:
                return self._answer(message, names[0], verdict.argument, "close")
            likely += names
        return self._ask(message, dict.fromkeys(likely)) if likely else None

    # Answers.

    def _answer(self, message: Message, name: str, argument: str, certainty: Certainty) -> Understanding:
        intent = self._lexicon.intents[name]
        confirm = intent.money and certainty != "exact"
        if intent.argument == "saying" and self._says_nothing(argument):
            argument = ""
        other = self._lexicon.exact.get(normalise.lower(argument), name) if intent.argument == "text" else name
        either = () if other == name or self._lexicon.intents[other].whole_only else (name, other)
        return Understanding(name, argument, certainty, either, confirm, message.polite)

    def _says_nothing(self, argument: str) -> bool:
        """Is it one of our words, or a lone number? Whoever types 话题积分 has no opinion called 积分."""
        said = Message(argument, self._polite, self._asking)
        known = any(normalise.lower(form).replace(" ", "") in self._lexicon.exact for form in (said.plain, said.polite))
        return known or choice(said.plain) is not None or said.plain.isdecimal()

    def _ask(self, message: Message, names: Iterable[str]) -> Understanding:
        return Understanding("", "", "ask", tuple(names)[:MOST_CANDIDATES], False, message.polite)

    def _nothing(self, message: Message) -> Understanding:
        return Understanding("", "", "none", (), False, message.polite)


def _guarded(intent: Intent, text: str, start: int = 0, end: int = _SCANNED) -> bool:
    """Does a guard phrase of the intent overlap the span (default: stand anywhere)?"""
    return any(text.find(guard, max(0, start - len(guard) + 1), end + len(guard) - 1) >= 0 for guard in intent.guards)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """No other ASCII letter or digit touches an ASCII word; Chinese has no such borders."""
    if not text[start:end].isascii():
        return True
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return not any(char.isascii() and char.isalnum() for char in around)
