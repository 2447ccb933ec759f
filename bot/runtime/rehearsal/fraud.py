"""The fraud that is planted into a rehearsed shop, each scheme meant for one rule, with every order labelled."""

from collections.abc import Callable
from datetime import timedelta

from bot.runtime.rehearsal.scene import CITIES, START, TRIAL, Human, Script


def plant(script: Script, sharers: list[Human]) -> None:
    """Add the schemes; each has a crook of its own among new sharers who also sell honestly."""
    for rule, (times, scheme) in SCHEMES.items():
        for n in range(times):
            name = f"{rule}-{n}"
            script.schemes[name] = rule
            crook = script.someone(Human(f"crook-{name}", phone=f"137{abs(hash_of(name)) % 10**8:08d}"),
                                   script.some_time(0, 2))
            for _ in range(3):
                script.buy(crook, script.some_time(3, 20))
            for k in range(6):
                honest = script.someone(Human(f"friend-{name}-{k}", crook.name), script.some_time(3, 30))
                script.buy(honest, script.some_time(31, 60))
            scheme(script, crook, name)


def hash_of(name: str) -> int:
    """The same number for a name in every process."""
    return sum(ord(letter) * 131**place for place, letter in enumerate(name))


def _account(script: Script, crook: Human, name: str, n: int, day: float, **own: str) -> Human:
    """A second account, made for the purpose."""
    return script.someone(Human(f"fake-{name}-{n}", crook.name, **own), START + timedelta(days=day))


def _where(script: Script, crook: Human) -> str:
    """Home, or to somebody nearby who passes it on."""
    return crook.address if script.luck.random() < 0.6 else ""


def _own_phone(script: Script, crook: Human, name: str) -> None:
    """The account carries the crook's own number, but is another account of the same app."""
    fake = Human(f"fake-{name}", crook.name, phone=crook.phone)
    script.people[fake.name] = fake
    for day in (31, 35, 39):
        script.buy(fake, script.some_time(day, day + 1), scheme=name)


def _own_payer(script: Script, crook: Human, name: str) -> None:
    fake = _account(script, crook, name, 0, 30, payer=crook.openid, address=_where(script, crook))
    for day in (31, 35, 39):
        script.buy(fake, script.some_time(day, day + 1), scheme=name)


def _own_device(script: Script, crook: Human, name: str) -> None:
    fake = _account(script, crook, name, 0, 30, device=crook.device, address=_where(script, crook))
    for day in (31, 35, 39):
        script.buy(fake, script.some_time(day, day + 1), scheme=name)


def _in_a_day(script: Script, crook: Human, name: str) -> None:
    fake = _account(script, crook, name, 0, 30)
    at = script.some_time(33, 40)
    for n in range(script.luck.randrange(6, 10)):
        script.buy(fake, at + timedelta(minutes=11 * n), pieces=1, scheme=name)


def _one_payer(script: Script, crook: Human, name: str) -> None:
    for n in range(5):
        fake = _account(script, crook, name, n, 30 + n, payer=f"card of {name}")
        script.buy(fake, script.some_time(34, 45), scheme=name)


def _one_device(script: Script, crook: Human, name: str) -> None:
    for n in range(6):
        fake = _account(script, crook, name, n, 30 + n, device=f"phone of {name}")
        script.buy(fake, script.some_time(36, 50), scheme=name)


def _chain(script: Script, crook: Human, name: str) -> None:
    """Each shares with the next only, so that nobody stands out."""
    for n in range(6):
        fake = _account(script, crook, name, n, 30 + n, device=f"phone {n // 2} of {name}",
                        payer=f"card {(n + 1) // 2} of {name}")
        script.buy(fake, script.some_time(36, 50), scheme=name)


def _swap(script: Script, crook: Human, name: str) -> None:
    """The friend buys from the crook, and when that binding has ended the crook buys from the friend."""
    friend = _account(script, crook, name, 0, 3)
    for day in (4, 6, 8):
        script.buy(friend, START + timedelta(days=day, hours=5), scheme=name)
    crook.sharer = friend.name
    for day in (52, 54, 56):
        script.buy(crook, START + timedelta(days=day, hours=6), scheme=name)
    crook.sharer = ""


def _tiny(script: Script, crook: Human, name: str) -> None:
    for n in range(14):
        fake = _account(script, crook, name, n, 25 + 2 * n)
        script.buy(fake, START + timedelta(days=25 + 2 * n, hours=3), TRIAL, 1, scheme=name)


def _rush(script: Script, crook: Human, name: str) -> None:
    at = script.some_time(35, 50)
    for n in range(9):
        fake = script.someone(Human(f"fake-{name}-{n}", crook.name), at + timedelta(minutes=9 * n))
        script.buy(fake, at + timedelta(minutes=9 * n + 4), TRIAL, 1, scheme=name)


def _far_away(script: Script, crook: Human, name: str) -> None:
    city = script.luck.choice(CITIES)
    for n in range(10):
        fake = _account(script, crook, name, n, 30 + n, region=city + "07")
        for _ in range(2):
            script.buy(fake, script.some_time(41, 62), pieces=script.luck.randrange(6, 13), scheme=name)


def _back_again(script: Script, crook: Human, name: str) -> None:
    """Received, let go, sent back: the commission was withdrawn meanwhile."""
    fake = _account(script, crook, name, 0, 20)
    for day in (21, 24, 27, 30, 33, 36):
        at = START + timedelta(days=day, hours=2)
        script.send_back(script.buy(fake, at, scheme=name), at + timedelta(days=14))


SCHEMES: dict[str, tuple[int, Callable[[Script, Human, str], None]]] = {
    "self_phone": (4, _own_phone), "self_payer": (5, _own_payer), "self_device": (4, _own_device),
    "velocity": (3, _in_a_day), "many_payer": (3, _one_payer), "many_device": (3, _one_device),
    "cluster": (3, _chain), "ring": (2, _swap), "star": (3, _tiny), "burst": (3, _rush), "region": (3, _far_away),
    "refund_abuse": (3, _back_again),
}
"""Rule → how often, and how it is done."""
