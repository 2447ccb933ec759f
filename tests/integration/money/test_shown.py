"""What is shown of money that was earned, and what is kept of the events that told of it."""

from datetime import timedelta

from sqlalchemy import text

from domain.commissions import earned, queries
from tests.integration.money.world import Shop


def test_why_explains_by_amount_and_by_order(shop: Shop) -> None:
    shop.tell(shop.pay("A1001", by="小王", fen=9_900), shop.receive("A1001"))
    shop.tell(shop.refund("A1001", "R1", 3_300))
    me = shop.people["李姐"]
    with shop.sessions() as session:
        for needle in ("7.92", "¥7.92", "5.28", "５．２８元", "A1001", "a1001", ""):
            line, = queries.explain(session, me, needle)
            assert (line.base_fen, line.rate_bps, line.rule, line.level) == (9_900, 800, "category:fmcg", 1)
            assert (line.left_fen, line.refunded_fen, str(line.releases_on)) == (528, 3_300, "2026-11-27")
        assert queries.explain(session, me, "1.23") == queries.explain(session, shop.people["新客"], "A1001") == []


def test_the_team_shows_members_masked_with_their_net_volume(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        session.execute(text("update person set nickname = '小王子' where id = :p"), {"p": shop.people["小王"]})
    shop.tell(shop.pay("A1", by="小王"), shop.refund("A1", "R1", 3_300), shop.pay("A2", by="小王"), shop.close("A2"))
    with shop.sessions() as session:
        team = queries.team(session, shop.people["李姐"])
    member, = team.members
    assert (member.name, member.orders, member.net_fen, member.earned_fen) == ("小**", 1, 6_600, 528)
    assert (team.count, team.buyers, team.earned_fen) == (1, 1, 528)


def test_facts_carry_what_the_notice_says(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客"))
    with shop.sessions.begin() as session:
        news = earned.take(session, 100)
    facts = [(one.person_id, one.payload) for one in news.earned]
    assert [(person, fact["level"], fact["amount_fen"], fact["order_no"], fact["title"], fact["rule"])
            for person, fact in facts] == [
        (shop.people["小王"], 1, 792, "A1", "货1", "category:fmcg"),
        (shop.people["李姐"], 2, 198, "A1", "货1", "default")]


def test_a_settled_event_keeps_no_phone(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", buyer={"mall_user_id": "小王", "phone": "13800138000"}))
    assert shop.rows("select count(*) from commerce_event where payload::text like '%138%'") == [(0,)]


def test_the_newest_word_about_a_product_wins_in_any_order(shop: Shop) -> None:
    from domain.catalog import queries as catalog

    def told(title: str, hours: int) -> object:
        return shop.event("product.upserted", at=shop.clock.now() + timedelta(hours=hours), sku="RICE", title=title,
                          category="fmcg", price_fen=100)

    shop.tell(told("second", 2))
    shop.tell(told("first", 1))
    shop.tell(shop.event("product.upserted", sku="TEA", title="茶", category="fmcg", price_fen=5), told("third", 3))
    with shop.sessions() as session:
        assert [(one.no, one.title) for one in catalog.shelf(session, 9)] == [(1, "third"), (2, "茶")]
        assert [one.sku for one in catalog.search(session, "2", 5)] == ["TEA"]
        assert [one.sku for one in catalog.search(session, "hir", 5)] == ["RICE"]


def test_a_customer_event_makes_a_person_with_a_name(shop: Shop) -> None:
    shop.tell(shop.event("customer.upserted", identities={"mall_user_id": "new", "phone": "13800138000"},
                         nickname="小花", birthday="1990-02-28", phone_verified=True))
    named = shop.rows("select nickname, phone_verified_at is not null from person where nickname <> ''")
    assert named == [("小花", True)]
