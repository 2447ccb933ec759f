"""Tags in WeCom: who brought a customer, what they buy, what we call them; each is made once or ends with a reason."""

from domain.insight import service as insight
from tests.fakes.corp import Corp, external
from tests.fakes.wechat_api import Code

MARK = "externalcontact/mark_tag"


def states(corp: Corp, kind: str) -> list[tuple[str, str]]:
    return corp.rows(f"select state, reason from outbox where kind = '{kind}' order by id")


def buys(corp: Corp, name: str, order: str, sku: str, category: str, share_code: str = "") -> None:
    """A customer whom the mall knows by their external id pays."""
    corp.shop.event("order.paid", {
        "order_id": order, "channel": "mall", "currency": "CNY", "paid_at": corp.shop.clock.now().isoformat(),
        "buyer": {"external_userid": external(name)}, "share_code": share_code, "paid_fen": 10_000, "shipping_fen": 0,
        "lines": [{"line_id": "1", "sku": sku, "title": "好物", "category": category, "quantity": 1,
                   "paid_fen": 10_000}]})


def spoken_of(corp: Corp, name: str) -> set[str]:
    """The tags that say who brought somebody and what they like."""
    return {tag for tag in corp.tags(name) if tag.endswith("推荐") or tag.startswith("兴趣-")}


def test_who_was_brought_by_an_order_is_tagged_without_a_code(corp: Corp) -> None:
    li = corp.shop.person("李姐")
    code = corp.rows(f"select referral_code from person where id = {corp.of(li)['id']}")[0][0]
    buys(corp, "小新", "W1", "LAMP", "digital", code)
    corp.shop.wait(minutes=1)
    corp.adds("小新")
    assert corp.person("小新")["referrer_id"] == corp.of(li)["id"]
    assert spoken_of(corp, "小新") == {"李姐推荐", "兴趣-数码家电"}


def test_what_was_returned_before_is_no_interest_and_nobody_is_no_sharer(corp: Corp) -> None:
    buys(corp, "小新", "W1", "LAMP", "digital")
    corp.shop.wait(minutes=1)
    corp.shop.refunded("W1", 10_000)
    buys(corp, "小新", "W2", "RICE-5KG", "fmcg")
    corp.shop.wait(minutes=1)
    corp.adds("小新")
    assert spoken_of(corp, "小新") == {"兴趣-日用食品"}


def test_who_was_there_before_their_first_payment_is_tagged_when_they_pay(corp: Corp) -> None:
    """Paid, not yet received; and what goes back wholly is no interest any more, what is kept instead is."""
    corp.adds("小新")
    assert spoken_of(corp, "小新") == set()
    buys(corp, "小新", "W1", "LAMP", "digital")
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "小新") == {"兴趣-数码家电"}
    buys(corp, "小新", "W2", "RICE-5KG", "fmcg")
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "小新") == {"兴趣-数码家电"}, "what they bought first"
    corp.shop.refunded("W1", 4_000)
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "小新") == {"兴趣-数码家电"}, "some of it is kept"
    corp.shop.refunded("W1", 6_000)
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "小新") == {"兴趣-日用食品"}
    corp.shop.refunded("W2", 10_000)
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "小新") == set()


def test_what_the_code_of_their_arrival_named_stays_whatever_goes_back(corp: Corp) -> None:
    corp.shop.person("李姐")
    corp.adds("小新", corp.way(sharer="李姐", sku="RICE-5KG"))
    buys(corp, "小新", "W1", "LAMP", "digital")
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "小新") == {"李姐推荐", "兴趣-日用食品", "兴趣-数码家电"}
    corp.shop.refunded("W1", 10_000)
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "小新") == {"李姐推荐", "兴趣-日用食品"}


def test_a_unionid_that_comes_late_brings_the_tags_with_it(corp: Corp) -> None:
    """Nobody knew that the contact is a follower whom somebody brought, and who buys."""
    corp.shop.person("李姐")
    flower = corp.shop.person("小花", invited_by="李姐")
    corp.shop.paid("W1", by=flower, fen=9_900)
    corp.adds("花")
    corp.shop.wait(minutes=1)
    assert spoken_of(corp, "花") == set()
    corp.api.friends("seller01", external("花"), unionid="oU9")
    corp.shop.event("customer.upserted", {"identities": flower.identity | {"unionid": "oU9"}})
    corp.shop.wait(hours=2)
    corp.shop.wait(minutes=1)
    assert corp.person("花")["id"] == corp.of(flower)["id"]
    assert spoken_of(corp, "花") == {"李姐推荐", "兴趣-日用食品"}


def test_the_code_that_brought_them_now_names_its_own_sharer(corp: Corp) -> None:
    li = corp.shop.person("李姐")
    corp.shop.person("王哥")
    code = corp.rows(f"select referral_code from person where id = {corp.of(li)['id']}")[0][0]
    buys(corp, "小新", "W1", "LAMP", "digital", code)
    corp.shop.wait(minutes=1)
    corp.adds("小新", corp.way(sharer="王哥"))
    assert "王哥推荐" in corp.tags("小新") and "李姐推荐" not in corp.tags("小新")


def test_tags_are_made_once_and_what_cannot_be_is_an_outcome(corp: Corp) -> None:
    corp.shop.person("李" * 40)
    state = corp.way(sharer="李" * 40)
    corp.api.fail(MARK, Code(45033))
    corp.adds("甲", state)
    assert corp.tags("甲") == {"李" * 28 + "推荐"}
    corp.adds("乙", state)
    assert corp.api.count("externalcontact/add_corp_tag") == 1
    corp.api.groups["推荐人"].clear()  # somebody deleted it in WeCom
    corp.adds("丙", state)
    assert corp.tags("丙") == {"李" * 28 + "推荐"}
    corp.api.groups |= {"推荐人": {}, "满": {f"t{n}": f"etFULL{n}" for n in range(3_000)}}
    corp.adds("丁", state)
    corp.api.fail(MARK, Code(84061))
    corp.api.groups = {"推荐人": {"李" * 28 + "推荐": "etX"}}
    corp.adds("戊", state)
    assert corp.rows("select state, reason from contact_tag order by contact_id") == [
        ("done", ""), ("done", ""), ("done", ""), ("refused", "tags_full"), ("refused", "unfollowed:84061")]
    assert states(corp, "contact.tag")[3:] == [("refused", "tags_full"), ("refused", "unfollowed:84061")]


def test_our_own_tags_are_seen_in_wecom_too(corp: Corp) -> None:
    corp.adds("小新")
    person = corp.person("小新")["id"]
    with corp.shop.runtime.sessions.begin() as session:
        insight.tag(session, person, "social", "operator", corp.shop.clock.now())
    corp.shop.work()
    assert corp.tags("小新") == {"社交活跃"}
    corp.adds("小新", userid="seller02")
    assert corp.tags("小新", "seller02") == {"社交活跃"}
    with corp.shop.runtime.sessions.begin() as session:
        insight.untag(session, person, "social", "operator", corp.shop.clock.now())
    corp.shop.work()
    assert corp.tags("小新") == corp.tags("小新", "seller02") == set()
