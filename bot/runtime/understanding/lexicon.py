"""The words people may type, read from a TOML file and checked as a whole."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from bot.runtime.understanding import normalise
from bot.runtime.understanding.sound import Sound

T = TypeVar("T")
Argument = Literal["none", "text", "amount", "reference", "month", "content", "saying", "hours"]


class LexiconError(Exception):
    """The file of words is not usable. ``faults`` has one plain sentence for each thing wrong."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class Intent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[intent]]`` of the file; the file's head explains the fields."""

    name: str
    words: tuple[str, ...]
    synonyms: tuple[str, ...] = ()
    whole_words: tuple[str, ...] = ()
    amount_words: tuple[str, ...] = ()
    whole_only: bool = False
    offered: bool = False
    argument: Argument = "none"
    money: bool = False
    guards: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    offer: tuple[str, ...] = ()
    priority: int = 0

    @property
    def everywhere(self) -> tuple[str, ...]:
        """Words that count inside a sentence and by sound."""
        return () if self.whole_only else self.words + self.synonyms

    @property
    def free(self) -> bool:
        """Is what follows the word said in the person's own words?"""
        return self.argument in ("content", "saying")

    @property
    def all_words(self) -> tuple[str, ...]:
        return self.words + self.synonyms + self.whole_words


class Fillers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    polite_before: tuple[str, ...]
    polite_after: tuple[str, ...]
    asking_before: tuple[str, ...]
    asking_after: tuple[str, ...]
    protected: tuple[str, ...] = ()


class Negation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: tuple[str, ...]
    open_questions: tuple[str, ...]
    money_only: tuple[str, ...]


class Chatter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that no product is called by. ``questions``: those that ask, whatever stands around them."""

    words: tuple[str, ...]
    questions: tuple[str, ...]


class _Amounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    everything: tuple[str, ...]


class WordsByFirst:
    """Finds the longest listed word at a place in a text, by its first character."""

    def __init__(self, words: Iterable[str]) -> None:
        self._by_first: dict[str, list[str]] = defaultdict(list)
        for word in sorted(set(words), key=lambda word: (-len(word), word)):
            self._by_first[word[0]].append(word)

    def starting(self, text: str, at: int = 0) -> Iterator[str]:
        """Words that stand at ``at``, longest first."""
        for word in self._by_first.get(text[at : at + 1], ()):
            if text.startswith(word, at):
                yield word

    def longest(self, text: str, at: int = 0) -> str:
        """The longest word at ``at``, or ''."""
        return next(self.starting(text, at), "")


@dataclass(frozen=True)
class Lexicon:
    """Everything the matcher looks up, precomputed. Build it with ``load`` or ``build``."""

    intents: Mapping[str, Intent]
    fillers: Fillers
    negation: Negation
    chatter: Chatter
    everything: tuple[str, ...]
    sound: Sound
    exact: Mapping[str, str] = field(default_factory=dict)
    """Any word, lower case → intent."""
    before_amount: Mapping[str, str] = field(default_factory=dict)
    """Words that count only right before an amount → intent."""
    inside: Mapping[str, str] = field(default_factory=dict)
    """Words that count inside a sentence → intent."""
    typed: Mapping[str, str] = field(default_factory=dict)
    """Pinyin letters of those words → intent, for people who type letters."""
    spoken: Mapping[str, str] = field(default_factory=dict)
    """The part of ``typed`` that is also known by its sound when other characters are typed."""
    folded: Mapping[str, str] = field(default_factory=dict)
    """``spoken`` with confused sounds made equal; keys that two intents share are left out."""


def load(path: Path) -> Lexicon:
    """Reads and checks the file. Raises LexiconError with every fault found."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LexiconError([f"{path.name}: {error}"]) from error
    return build(raw)


def build(raw: Mapping[str, Any]) -> Lexicon:
    """A lexicon from parsed TOML. Raises LexiconError with every fault found."""
    faults: list[str] = []
    intents = [
        intent
        for index, table in enumerate(raw.get("intent", ()))
        if (intent := _convert(table, Intent, f"intent[{index}]", faults))
    ]
    fillers = _convert(raw.get("fillers"), Fillers, "fillers", faults)
    negation = _convert(raw.get("negation"), Negation, "negation", faults)
    chatter = _convert(raw.get("chatter"), Chatter, "chatter", faults)
    amounts = _convert(raw.get("amounts"), _Amounts, "amounts", faults)
    readings = _convert(raw.get("readings"), dict[str, str], "readings", faults)
    known = {"intent", "fillers", "negation", "chatter", "amounts", "readings"}
    faults += [f"{name}: no such table" for name in sorted(raw.keys() - known)]
    faults += _faults_of_intents(intents)
    faults += _faults_of_readings(readings or {})
    sound = Sound(readings or {})
    faults += _duplicates("sound", ((sound.letters(word), i.name) for i in intents for word in _sounding(i)))
    if faults or not (fillers and negation and chatter and amounts):
        raise LexiconError(faults)
    return Lexicon(
        intents={intent.name: intent for intent in intents},
        fillers=fillers,
        negation=negation,
        chatter=chatter,
        everything=amounts.everything,
        sound=sound,
        exact={normalise.lower(word): i.name for i in intents for word in i.all_words},
        before_amount={word: i.name for i in intents for word in i.amount_words},
        inside={normalise.lower(word): i.name for i in intents for word in i.everywhere},
        typed={sound.letters(normalise.lower(word)): i.name for i in intents for word in _sounding(i)},
        spoken={sound.letters(normalise.lower(word)): i.name for i in intents for word in _spoken(i)},
        folded=_folded(intents, sound),
    )


def _sounding(intent: Intent) -> list[str]:
    """Words long enough to be known by their sound."""
    return [word for word in intent.everywhere if len(word) >= 2]


def _spoken(intent: Intent) -> list[str]:
    """Words known by sound: those we teach, and long ones.

    Short synonyms have too many real words that sound alike (取现 曲线, 上级 商家) to be worth guessing.
    """
    return [word for word in _sounding(intent) if word in intent.words or len(word) >= 3]


def _folded(intents: Iterable[Intent], sound: Sound) -> dict[str, str]:
    owners: dict[str, set[str]] = defaultdict(set)
    for intent in intents:
        for word in _spoken(intent):
            owners[sound.folded(normalise.lower(word))].add(intent.name)
    return {key: next(iter(names)) for key, names in owners.items() if len(names) == 1}


def _convert(raw: object, shape: type[T], where: str, faults: list[str]) -> T | None:
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        faults.append(f"{where}: {error}")
        return None


def _faults_of_intents(intents: list[Intent]) -> Iterator[str]:
    names = {intent.name for intent in intents}
    yield from _duplicates("word", ((normalise.lower(w), i.name) for i in intents for w in i.all_words))
    if len(names) < len(intents):
        yield "intent: two intents have the same name"
    for intent in intents:
        yield from _faults_of_intent(intent, names)


def _faults_of_intent(intent: Intent, names: set[str]) -> Iterator[str]:
    if not intent.words:
        yield f"{intent.name}: has no words"
    if intent.money and intent.whole_only:
        yield f"{intent.name}: money is confirmed, whole_only is never guessed; choose one"
    if intent.offered and not intent.whole_only:
        yield f"{intent.name}: offered has no meaning without whole_only"
    if intent.doubts and not intent.offer:
        yield f"{intent.name}: doubts need something to offer"
    if intent.amount_words and intent.argument != "amount":
        yield f"{intent.name}: amount_words take an amount"
    if len(intent.offer) > 5:
        yield f"{intent.name}: offers more than five choices"
    yield from (f"{intent.name}: offers {name}, which is no intent" for name in intent.offer if name not in names)
    for word in intent.all_words + intent.amount_words + intent.guards + intent.needs + intent.doubts:
        if not word or normalise.plain(word) != word:
            yield f"{intent.name}: {word!r} is not in the form that texts are compared in"


def _faults_of_readings(readings: Mapping[str, str]) -> Iterator[str]:
    for char, syllable in readings.items():
        if len(char) != 1 or not (syllable.isascii() and syllable.isalpha() and syllable.islower()):
            yield f"readings: {char!r} = {syllable!r} is not one character and one syllable"


def _duplicates(what: str, owned: Iterable[tuple[str, str]]) -> list[str]:
    owners: dict[str, list[str]] = defaultdict(list)
    for key, name in owned:
        if name not in owners[key]:
            owners[key].append(name)
    return [f"{what} {key!r} belongs to {' and '.join(names)}" for key, names in owners.items() if len(names) > 1]
