"""The way through employees as this shop has it: which applications use it, which notices have an employee's words."""

from collections.abc import Mapping

from bot.runtime.faulty import Fault
from bot.runtime.settings import Settings, SettingsError
from bot.runtime.voice import Voice
from domain.stafftasks.rules import PREFIX, StaffWay


def load(settings: Settings, voice: Voice) -> StaffWay:
    """Raises SettingsError when a text is for a notice that is none, or names a fact that the notice does not have."""
    texts = voice.keys()
    own = {key.removeprefix(PREFIX): wanted for key, wanted in texts.items() if key.startswith(PREFIX)}
    faults = [Fault("copy/mass.toml", f"{PREFIX}{key}: {problem}", "use a text key and facts that the notice has")
              for key, wanted in sorted(own.items()) if (problem := _problem(texts, key, wanted))]
    if faults:
        raise SettingsError(faults)
    monthly = {name: one.staff_messages for name, one in settings.wecom.items() if one.staff_messages}
    return StaffWay(monthly, frozenset(own))


def _problem(texts: Mapping[str, frozenset[str]], key: str, wanted: frozenset[str]) -> str:
    if key not in texts:
        return "there is no such notice"
    unknown = wanted - texts[key]
    return f"{', '.join(sorted(unknown))} is no fact of it" if unknown else ""
