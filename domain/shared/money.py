"""Integer money: fen, basis points, and the one rounding rule of the house."""

from collections.abc import Sequence

BPS = 10_000
"""Basis points in one whole: 100 bps = 1 %."""


def share(amount_fen: int, rate_bps: int) -> int:
    """Fen of ``amount_fen`` at ``rate_bps``, halves up. Both must be >= 0."""
    if amount_fen < 0 or rate_bps < 0:
        raise ValueError("share() takes non-negative integers")
    return (amount_fen * rate_bps + BPS // 2) // BPS


def pro_rata(total_fen: int, part: int, whole: int) -> int:
    """``total_fen`` x ``part`` / ``whole``, halves up; 0 <= part <= whole, whole > 0.

    This is the *cumulative target* of a claw-back: call it with what has been refunded so far and
    post the difference to what was taken before; so thirds add up (reference: ledger sheet §1.6).
    """
    if whole <= 0 or not 0 <= part <= whole or total_fen < 0:
        raise ValueError("pro_rata() takes 0 <= part <= whole, whole > 0, total >= 0")
    return (2 * total_fen * part + whole) // (2 * whole)


def split_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split ``total`` >= 0 by ``weights`` so that the parts sum to it exactly; ties go to the first."""
    whole = sum(weights)
    if total < 0 or whole <= 0 or min(weights, default=0) < 0:
        raise ValueError("split needs total >= 0 and positive weights")
    parts = [total * w // whole for w in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def yuan(fen: int) -> str:
    """``12850`` -> ``¥128.50``; negative amounts keep the sign in front."""
    return f"¥{fen // 100}.{fen % 100:02d}" if fen >= 0 else f"-{yuan(-fen)}"


def times(bps: int) -> str:
    """What a factor multiplies by: ``15_000`` -> ``1.5``, ``10_000`` -> ``1``."""
    whole, rest = divmod(bps, BPS)
    return f"{whole}.{rest:04d}".rstrip("0") if rest else str(whole)


def percent(bps: int) -> str:
    """``800`` -> ``8%``, ``850`` -> ``8.5%``."""
    whole, rest = divmod(bps, 100)
    return f"{whole}%" if not rest else f"{whole}.{rest:02d}".rstrip("0") + "%"
