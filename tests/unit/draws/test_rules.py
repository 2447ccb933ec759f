"""Draws are decided by what was published: exact odds, rolls that another reckoning agrees with, files refused."""

import hashlib
from collections import Counter
from fractions import Fraction

import pytest

from bot.runtime.bootstrap import ASSETS
from domain.draws.rules import Allowance, Campaign, Seeds, commitment, load, roll, won
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError

SHIPPED = (ASSETS / "demo" / "draws.toml").read_text("utf-8")
OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8")).by_kind
SEED = bytes(range(32))


def shipped() -> Campaign:
    return load(SHIPPED, OFFERS).campaign[0]


def hmac_by_hand(key: bytes, said: bytes) -> bytes:
    """RFC 2104, written out: no code shared with the rules."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + said).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()


def test_the_line_has_exactly_the_published_odds() -> None:
    prizes = shipped().prize
    found = Counter(won(prizes, rolled) for rolled in range(10_000))
    assert found == Counter({1: 20, 2: 80, 3: 400, 4: 2_000, 5: 2_500, None: 5_000})


def test_rolls_are_what_anybody_reckons_and_spread_as_published() -> None:
    """20,000 draws under a fixed seed: each equal to a reckoning by hand, the counts those of that reckoning, and each
    prize within four standard deviations of its odds."""
    prizes, counted = shipped().prize, Counter[int | None]()
    for number in range(1, 20_001):
        rolled = roll(SEED, "harvest", "abc", number)
        x = int(hmac_by_hand(SEED, f"harvest/abc/{number}".encode()).hex(), 16)
        assert rolled == Fraction(x * 10_000, 2**256).__floor__()
        counted[won(prizes, rolled)] += 1
    assert counted == Counter({None: 9_981, 5: 5_082, 4: 3_935, 3: 804, 2: 164, 1: 34})
    for n, prize in enumerate(prizes, 1):
        expected = 20_000 * prize.odds_bps / 10_000
        assert abs(counted[n] - expected) < 4 * (expected * (1 - prize.odds_bps / 10_000)) ** 0.5


def test_seeds_differ_by_day_and_campaign_and_keep_their_promise() -> None:
    from datetime import date

    seeds = Seeds(b"k" * 32)
    made = {seeds.of(key, date(2026, 11, day)) for key in ("a", "b") for day in range(1, 20)}
    assert len(made) == 38
    assert commitment(SEED) == hashlib.sha256(SEED).hexdigest()
    assert "k" * 32 not in repr(seeds)


@pytest.mark.parametrize(("free", "tickets", "points", "left", "paid"), [
    (1, 1, 10, 2, "free"), (0, 1, 10, 2, "ticket"), (0, 0, 10, 2, "points"), (0, 0, 0, 2, None), (1, 1, 10, 0, None)])
def test_what_is_free_goes_first(free: int, tickets: int, points: int, left: int, paid: str | None) -> None:
    assert Allowance(left, 5, free, tickets).payment(points) == paid


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("worth_fen = 26800", "worth_fen = 5000001", "no prize above 50,000 yuan"),
    ("odds_bps = 2500", "odds_bps = 7501", "the odds are more than 10000 together"),
    ("odds_bps = 20\n", "odds_bps = 0\n", "odds_bps from 1"),
    ("amount = 188  ", "amount = 20001", "amount 1 to 20000"),
    ('offer = "draw"', 'offer = "nothing"', "names an offer"),
    ("stock = 10\n", "", "goods need worth_fen"),
    ("stock = 500\n", "", "needs a stock"),
    ("daily_free = 1", "daily_free = 6", "daily_free at most daily_most"),
    ("opens = 2026-01-01T00:00:00+08:00", "opens = 2026-01-01T00:00:00", "need an offset"),
    ("closes = 2028-01-01T00:00:00+08:00", "closes = 2025-01-01T00:00:00+08:00", "closes before it opens"),
    ('key = "honey"', 'key = "giftbox"', "each key once"),
    ("points = 10 ", "price_fen = 100\npoints = 10 ", "unknown field"),
])
def test_what_a_file_may_not_say(old: str, new: str, fault: str) -> None:
    assert old in SHIPPED
    with pytest.raises(DomainError) as refused:
        load(SHIPPED.replace(old, new, 1), OFFERS)
    assert fault in str(refused.value.facts["faults"])


def test_campaigns_do_not_overlap() -> None:
    second = SHIPPED.replace('"harvest"', '"second"').replace("opens = 2026", "opens = 2027")
    with pytest.raises(DomainError, match="one at a time"):
        load(SHIPPED + second, OFFERS)
