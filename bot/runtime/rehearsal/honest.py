"""The normal life of a shop, with everything honest that looks odd.

Families that share an address and pay for each other, presents to many places in one day, leaders who collect at a
pick-up point and order for the elderly with their own phone, a launch evening with trial packs, migrants who sell to
their home town, and things that are sent back.
"""

from datetime import timedelta

from bot.runtime.rehearsal.scene import CITIES, HOME_CITY, TRIAL, Human, Script

SHARERS = 30
LEADERS = 3
CUSTOMERS = 400
ORDERS = 2_000
NEIGHBOURS = 30
ELDERLY = 2
MIGRANTS = 3


def live(script: Script) -> list[Human]:
    """Write the honest part; returns the sharers."""
    sharers = [script.someone(Human(f"sharer-{n}"), script.some_time(0, 1)) for n in range(SHARERS)]
    for sharer in sharers:
        for _ in range(3):
            script.buy(sharer, script.some_time(1, 60))
    customers = _neighbourhoods(script, sharers[:LEADERS])
    customers += _home_towns(script, sharers[LEADERS:LEADERS + MIGRANTS])
    customers += _families(script, sharers[LEADERS:], CUSTOMERS - len(customers))
    _presents(script, customers)
    while script.orders < ORDERS:
        who = script.luck.choice(customers)
        _ordinary(script, who)
    return sharers


def _joins(script: Script, human: Human, last_day: float = 45) -> Human:
    """A new customer; every tenth tries a trial pack first, the others buy something proper soon."""
    at = script.some_time(2, last_day)
    script.someone(human, at)
    goods, pieces = (TRIAL, 1) if script.luck.random() < 0.1 else (None, 0)
    script.buy(human, at + timedelta(hours=script.luck.uniform(0.2, 40)), goods, pieces)
    return human


def _ordinary(script: Script, who: Human) -> None:
    """One more order: sometimes a present, sometimes paid by the family, now and then sent back."""
    other: dict[str, str] = {}
    head = script.heads.get(who.name)
    if head is not None:
        other |= {name: getattr(head, name) for name in ("payer", "device") if script.luck.random() < 0.15}
    if script.luck.random() < 0.05:
        friend = f"friend {script.luck.randrange(1_000)} of {who.name}"
        other |= {"address": friend, "region": script.luck.choice(CITIES) + "01"}
    at = script.some_time(47)
    number = script.buy(who, at, None, 0, "", **other)
    fate = script.luck.random()
    if fate < 0.03:
        script.send_back(number, at + timedelta(days=script.luck.uniform(1, 6)))
    elif fate < 0.04:
        script.send_back(number, at + timedelta(days=script.luck.uniform(12, 20)))


def _neighbourhoods(script: Script, leaders: list[Human]) -> list[Human]:
    """Everybody collects at the leader's door; a launch evening; the elderly order on the leader's phone."""
    people = []
    for leader in leaders:
        evening = script.some_time(5, 20)
        for n in range(NEIGHBOURS):
            one = Human(f"{leader.name}-neighbour-{n}", leader.name, address=leader.address)
            if n < ELDERLY:
                one.device = leader.device
                one.payer = leader.payer
            if n < NEIGHBOURS // 3:
                script.someone(one, evening)
                trial = n % 3 == 0
                script.buy(one, evening + timedelta(minutes=10 + n), TRIAL if trial else None, int(trial))
            else:
                _joins(script, one)
            people.append(one)
    return people


def _home_towns(script: Script, migrants: list[Human]) -> list[Human]:
    """Relatives and old friends, all in one city far away."""
    people = []
    for migrant in migrants:
        city = script.luck.choice(CITIES)
        people += [_joins(script, Human(f"{migrant.name}-home-{n}", migrant.name, region=city + "05"))
                   for n in range(12)]
    return people


def _families(script: Script, sharers: list[Human], number: int) -> list[Human]:
    """Households of one to four with one address; some are the sharer's own."""
    people: list[Human] = []
    own_family: set[str] = set()
    while len(people) < number:
        sharer = script.luck.choice(sharers)
        size = min(script.luck.choice((1, 1, 1, 1, 2, 2, 3, 4)), number - len(people))
        relatives = size > 1 and sharer.name not in own_family and script.luck.random() < 1 / 3
        own_family |= {sharer.name} if relatives else set()
        home = sharer.address if relatives else f"household {len(people)}"
        city = HOME_CITY if relatives or script.luck.random() < 0.8 else script.luck.choice(CITIES)
        head = sharer if relatives else None
        for _ in range(size):
            one = Human(f"customer-{len(people)}", sharer.name, region=city + "03", address=home)
            if head is not None:
                script.heads[one.name] = head
                if script.luck.random() < 0.05:  # a grandmother who never pays, and has no phone for it
                    one.payer, one.device = head.payer, head.device
            head = head or one
            people.append(_joins(script, one))
    return people


def _presents(script: Script, customers: list[Human]) -> None:
    """Before the festival some send presents to everybody they know, on one day."""
    for giver in script.luck.sample(customers, 8):
        at = script.some_time(48, 60)
        for n in range(script.luck.randrange(3, 8)):
            script.buy(giver, at + timedelta(minutes=7 * n), address=f"present {n} of {giver.name}",
                       region=script.luck.choice(CITIES) + "01")
