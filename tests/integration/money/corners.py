"""One history of money that goes through every rare corner on purpose: (rule of test_machine.Money, its arguments)."""

from bot.kit.pay import PayOutcome, PayResult

BUSY = PayResult(PayOutcome.BUSY, code="FREQUENCY_LIMIT_EXCEED")
EDGE = [("edge", 250_000), ("edge", 5)]
CORNERS: tuple[tuple[object, ...], ...] = (
    # Two large sales; one is reported after a part of it came back.
    ("sells", "a", EDGE, 0, 0, "dies"), ("sells", "d", EDGE, 0, 3, "twice"), ("repeats", 0, 3, "erp"),
    ("sells", "a", EDGE, 0, 0, ""), ("closes", 0, "dies"), ("receives", 0, True, "dies"), ("time_passes", 8, True),
    # A taxed withdrawal by two people, with deaths and lost answers; part of it is paid, a refund comes meanwhile.
    ("asks", "b", 1, 1, "", False), ("asks", "b", 1, 0, "", True), ("asks", "b", 1, 0, "", False),
    ("decides", 0, True, ""), ("drives", "claimed", [], 0, 0), ("drives", "called", [], 0, 0),
    ("drives", "", ["lost after", "lost before", "hidden", BUSY], 0, 0), ("refunds", 1, 2, ""),
    ("refunds", 2, 2, "dies"),
    ("drives", "recorded", [], 12, 0), ("drives", "", [], 12, 1), ("a_bill_fails", 1), ("drives", "", [], 70, 9),
    ("drives", "", [], 70, 9), ("the_provider_notifies", 0), ("refunds", 2, 1, "twice"), ("asks", "b", 1, 0, "", False),
    # A new sale pays the debt; the month ends with ladders, which late sales raise and refunds lower.
    ("sells", "a", EDGE[:1] * 2, 0, 0, ""), ("receives", 0, True, ""), ("time_passes", 8, False),
    ("asks", "b", 1, 0, "", False), ("decides", 0, True, "twice"), ("drives", "", [BUSY], 0, 9),
    ("drives", "", [], 3, 9), ("drives", "", [], 12, 9), ("drives", "", [], 12, 9), ("month_ends", "dies"),
    ("sells", "d", EDGE, 12, 0, ""), ("adjusts", "dies"), ("refunds", 3, 3, ""), ("adjusts", "twice"),
    # Every other end of a withdrawal.
    ("receives", 0, True, ""), ("time_passes", 8, False), ("funds_change", 10**8),
    ("asks", "c", 20, 0, "look", False), ("decides", 0, False, "twice"),
    ("asks", "c", 20, 0, "", False), ("decides", 0, True, ""), ("calls_back", "c", False, 0, False),
    ("asks", "c", 20, 0, "", True), ("decides", 0, True, ""), ("drives", "", [], 0, 0),
    ("calls_back", "c", True, 0, False), ("drives", "", [], 3, 0), ("drives", "", [], 12, 0),
    ("asks", "c", 20, 0, "", False), ("decides", 0, True, ""), ("drives", "", [], 0, 0), ("a_bill_fails", 0),
    ("the_provider_notifies", -1), ("the_provider_notifies", -1),
    ("asks", "c", 20, 0, "", False), ("decides", 0, True, ""), ("drives", "", [], 0, 0), ("people_confirm", 4),
    ("the_provider_notifies", -1),
    ("asks", "c", 20, 0, "", False), ("decides", 0, True, ""), ("drives", "", [], 0, 0), ("time_passes", 1.1, False),
    ("drives", "", [], 70, 0),
    # Somebody is frozen, asks in vain, and loses what waited.
    ("sells", "a", EDGE, 0, 0, ""), ("suspects", "b", "released", 0), ("sells", "a", EDGE, 0, 0, "dies"),
    ("asks", "b", 1, 0, "", False), ("suspects", "b", "confiscated", 0), ("receives", 0, True, ""),
    ("time_passes", 8, True),
    # A month is closed while some of its sales are in question; they count when they are cleared.
    ("sells", "a", EDGE, 0, 0, ""), ("suspects", "b", "released", 0), ("sells", "a", EDGE, 0, 0, ""),
    ("month_ends", ""), ("suspects", "b", "released", 0), ("adjusts", ""),
    ("suspects", "b", "released", 0), ("adjusts", "twice"), ("suspects", "b", "confiscated", 0), ("adjusts", "dies"),
)
