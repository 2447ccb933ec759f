"""L6: what somebody gets to share after a first order: lines, their own link and poster, a video where there is one."""

from sqlalchemy import text

from bot.runtime import demo_team
from domain.materials import videos
from tests.fakes.shop import Person, Shop

FILM = "https://mall.example/films/1"


def kit(shop: Shop, name: str, sku: str = "RICE-5KG") -> str:
    """The prompt after the first order of somebody new."""
    person: Person = shop.person(name).says("帮助")
    shop.paid(f"A-{name}", by=person, fen=9_900, sku=sku)
    shop.received(f"A-{name}")
    return next(said for said in person.heard if isinstance(said, str) and "📝 可以这样说" in said)


def give(shop: Shop, url: str, sku: str = "") -> None:
    with shop.runtime.sessions.begin() as session:
        boss = demo_team.hire(session, shop.clock.now())["owner"]
        videos.give(session, sku, url, boss, shop.clock.now())


def test_the_demo_shop_ships_with_a_film_that_can_be_watched(shop: Shop) -> None:
    said = kit(shop, "李姐")
    film = f"{shop.runtime.settings.public_url}/sim/films/RICE-5KG"
    assert f"🎬 小视频 {film}" in said and "/r/" in said
    page = shop.client.get(film.removeprefix(shop.runtime.settings.public_url))
    assert page.status_code == 200 and "五常有机大米" in page.text


def test_the_operators_film_comes_first_and_the_shops_last(shop: Shop) -> None:
    give(shop, FILM)
    assert "/sim/films/RICE-5KG" in kit(shop, "甲"), "the mall has one for just this product"
    give(shop, "https://mall.example/films/rice", "RICE-5KG")
    give(shop, "https://mall.example/films/rice-2", "RICE-5KG")
    assert "小视频 https://mall.example/films/rice-2\n" in kit(shop, "乙")
    shop.event("product.upserted", {"sku": "MILK-12", "title": "牛奶", "category": "fmcg", "price_fen": 5_980})
    assert f"小视频 {FILM}\n" in kit(shop, "丙", "MILK-12")


def test_without_a_film_the_kit_is_as_it_was(shop: Shop) -> None:
    shop.event("product.upserted", {"sku": "MILK-12", "title": "牛奶", "category": "fmcg", "price_fen": 5_980,
                                    "video_url": ""})
    said = kit(shop, "李姐", "MILK-12")
    assert "视频" not in said and "您的专属链接" in said and "海报" in said


def test_a_film_can_be_asked_for(shop: Shop) -> None:
    li = shop.person("李姐")
    shop.event("product.upserted", {"sku": "MILK-12", "title": "翠谷牛奶", "category": "fmcg", "price_fen": 5_980,
                                    "video_url": ""})
    li.says("视频 大米").sees("五常有机大米", "/sim/films/RICE-5KG")
    li.says("翠谷牛奶视频").sees("「翠谷牛奶」还没有视频", "素材 翠谷牛奶")
    give(shop, FILM, "MILK-12")
    shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    li.says("看视频").sees("「翠谷牛奶」的视频", FILM)
    li.says("视频 飞船").sees("没找到「飞船」", "视频 ")


def test_whoever_asks_where_to_buy_gets_the_way_there(shop: Shop) -> None:
    li = shop.person("李姐")
    page = "https://mall.example/p/milk"
    shop.event("product.upserted", {"sku": "MILK-12", "title": "翠谷牛奶", "category": "fmcg", "price_fen": 5_980,
                                    "url": page})
    link = f'<a href="{page}">翠谷牛奶</a>　¥59.80'
    li.says("翠谷牛奶怎么买").sees(link, "点名字直接购买")
    assert "大米" not in str(li.heard[-1])
    shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    for said in ("购买链接", "怎么买", "在哪买"):
        li.says(said).sees("在这里买\n", link, "点名字直接购买")
        assert str(li.heard[-1]).count("翠谷牛奶") == 1
    li.says("购买链接 飞船").sees("没找到「飞船」，看看这些")
    shop.wait(minutes=1)
    shop.event("product.upserted", {"sku": "MILK-12", "title": "翠谷牛奶", "category": "fmcg", "price_fen": 5_980,
                                    "url": ""})
    li.says("翠谷牛奶怎么买").sees("翠谷牛奶", "到我们商城里搜名字就能下单")


def test_a_dialogue_is_no_mall(shop: Shop) -> None:
    li = shop.person("李姐").says("对话")
    assert "商城" not in str(li.heard) and "兑换" not in str(li.heard[-1]).split("帮助")[0]


def test_a_shop_without_products_says_so_whatever_is_asked_for(shop: Shop) -> None:
    with shop.runtime.sessions.begin() as session:
        session.execute(text("delete from product"))
    li = shop.person("李姐")
    for said in ("素材", "素材 有机大米", "视频", "海报", "换风格"):
        li.says(said).sees("还没有上架商品")
