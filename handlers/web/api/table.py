"""The one table of the shop's API: the routes, the specification and the docs page are all made from it."""

from handlers.web.api import reads, shapes, writes
from handlers.web.api.event_shapes import EVENTS, EventBatch
from handlers.web.api.operations import AWAY, BAD, Operation, Parameter

__all__ = ["EVERY_OPERATION", "OPERATIONS", "PREFIX", "Operation"]

PREFIX = "/api/v1"

_NO_PERSON = (404, "Nobody has that id.")

OPERATIONS = (
    Operation(
        "POST", "/events/<source>", "sendEvents", "Events in", "Report what happened in the shop",
        "One event or a batch of 1 to 500, body up to 1 MiB, signed as Standard Webhooks. Stored before the answer, "
        "applied within a second or so. Events may arrive twice, late and in any order; the end is the same. Either "
        "all events of a batch are taken or none. Unknown fields are ignored.",
        shapes.Accepted, status=202, body=(EventBatch, EVENTS),
        refusals=((409, "An event id is known with other content; nothing was taken."),
                  (413, "The body is larger than 1 MiB."), BAD),
    ),
    Operation(
        "GET", "/people", "findPerson", "People", "Find a person by one of their identities",
        "Give exactly one identity. Phones are compared by keyed hash; they are not stored.",
        shapes.Person, reads.find_person,
        query=(Parameter("openid", "Official Account or mini program id; needs app_id."),
               Parameter("app_id", "The app the openid belongs to."), Parameter("unionid", "WeChat unionid."),
               Parameter("external_userid", "WeCom contact id."),
               Parameter("phone", "Mobile number, as in 13812345678 or +8613812345678."),
               Parameter("mall_user_id", "The mall's own user id.")),
        refusals=((404, "Nobody has that identity."), BAD),
    ),
    Operation("GET", "/people/<int:person_id>", "getPerson", "People", "A person", "Role, referrer and code.",
              shapes.Person, reads.person, refusals=(_NO_PERSON,)),
    Operation("GET", "/people/<int:person_id>/wallet", "getWallet", "Money", "A person's wallet",
              "Earned money by how far it is, points, and debt.", shapes.Wallet, reads.wallet,
              refusals=(_NO_PERSON,)),
    Operation("GET", "/people/<int:person_id>/statement", "getStatement", "Money", "A person's ledger lines",
              "Newest first, with the reason and the order of each. Pages stay stable while new lines are booked.",
              shapes.Statement, reads.statement, query=(
                  Parameter("cursor", "next_cursor of the page before."),
                  Parameter("limit", f"How many lines a page has, {reads.MOST} at most; {reads.PAGE} if not given. A "
                                     "page ends with a whole booking, so it may hold a few more.",
                            most=reads.MOST, usual=reads.PAGE)),
              refusals=(_NO_PERSON, BAD)),
    Operation("GET", "/people/<int:person_id>/progress", "getProgress", "People", "The repurchase ladder",
              "How often somebody came back, and what the next step gives.", shapes.Progress, reads.progress,
              refusals=(_NO_PERSON,)),
    Operation("GET", "/people/<int:person_id>/coupons", "getCoupons", "Coupons", "A person's coupons",
              "The newest 100, whatever their state.", shapes.Coupons, reads.coupons, refusals=(_NO_PERSON,)),
    Operation("POST", "/coupons/<code>/redeem", "redeemCoupon", "Coupons", "Burn a coupon for an order",
              "Idempotent: the same order again gets the same answer. An order that is returned gives its coupon back.",
              shapes.Coupon, writes.redeem, body=(shapes.Redeem,), read_body=writes.read_redeem,
              refusals=((404, "There is no such coupon."), (409, "Used for another order, expired or revoked."),
                        BAD)),
    Operation("GET", "/orders/<channel>/<path:order_id>/commission", "getCommission", "Orders",
              "Who earns what from an order",
              "One line for each order line and level, as struck at payment, less what refunds took back.",
              shapes.Commission, reads.commission, refusals=((404, "The order is not known, or not yet applied."),)),
    Operation("GET", "/ledger/check", "checkLedger", "Money", "Check the books",
              "Compares every balance with its postings. Reads the whole ledger: for a daily check.",
              shapes.LedgerCheck, reads.ledger_check),
)

EVERY_OPERATION = (
    (401, "The signature or the key does not hold."),
    AWAY,
)
