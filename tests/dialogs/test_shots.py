"""投稿 from the first picture to the poster of somebody else, and back: with consent, and only as long as it holds."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
import zxingcpp
from PIL import Image
from sqlalchemy import text

from bot.kit.gateway import Outcome, SendResult
from bot.pictures import qr
from domain.people.leaving import Name
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shots import queries, service
from domain.workflows import forgetting
from domain.workflows.merging import MOVERS
from tests.dialogs.test_grants import person_id
from tests.dialogs.test_leaving import scan
from tests.fakes.album import act, all_of, allowed, approve, bought, jpeg, one, photo, sends
from tests.fakes.gateway import FakeGateway
from tests.fakes.shop import ACCOUNT, Person, Shop


def coded() -> bytes:
    """A photo with somebody's QR in it, turned a little."""
    picture = Image.open(io.BytesIO(photo())).convert("RGB")
    code = qr.draw("https://other.example/join", 400).convert("RGB").rotate(7, expand=True, fillcolor="white")
    picture.paste(code, (120, 300))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()


def points(who: Person) -> str:
    return str(who.says("积分").heard[-1])


def usage_poster(who: Person, said: str = "素材") -> bytes:
    who.says(said)
    assert isinstance(who.heard[-1], bytes), who.heard[-2:]
    return who.heard[-1]


def shows(poster: bytes, colour: tuple[int, int, int]) -> bool:
    """Whether the middle of the customer's picture has this colour."""
    pixels = np.asarray(Image.open(io.BytesIO(poster)).convert("RGB"))[500:640, 480:600].reshape(-1, 3).astype(int)
    return bool(abs(np.median(pixels, axis=0) - colour).max() < 24)


BROWN, BLUE = (0x8a, 0x5a, 0x2b), (0x20, 0x40, 0xa0)


def test_sent_allowed_by_name_looked_at_thanked_and_shared_by_somebody_else(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    li.says("投稿").sees("请发一张使用照片", "给不给别人看由您定", "送您 30 积分")
    sends(li, photo()).sees("照片收到了", "「五常有机大米", "说一两句")
    li.says("煮出来满屋子香，孩子连吃两碗").sees("可以，写上「来自@李姐」", "2. 可以，但不写我的名字", "3. 不可以",
                                               "随时回复「撤回投稿」")
    assert one(shop).state == "draft"
    wang.says("素材 有机大米").sees("还没有顾客的使用照")
    li.says("1").sees("谢谢李姐！投稿编号 1", "来自@李姐", "没看之前不会给任何人")
    wang.says("素材 有机大米").sees("还没有顾客的使用照")
    approve(shop)
    li.saw("李姐，您投稿的照片（编号 1，五常有机大米", "被选用了", "送您 30 积分", "来自@李姐")
    assert "我的积分 30" in points(li)
    wang.says("素材").sees("「五常有机大米", "@李姐 的使用照", "家里这阵子在吃五常有机大米")
    poster = wang.heard[-1]
    assert isinstance(poster, bytes) and Image.open(io.BytesIO(poster)).size == (1080, 1920)
    assert shows(poster, BROWN)
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(poster)))
    assert code.text in shop.gateway.scenes, "the sharer's own code"
    li.says("我的投稿").sees("已选用，1 人拿去分享", "署名")


def test_what_is_kept_is_a_picture_of_our_own_making_and_what_was_agreed_to_word_for_word(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li, answer="2").sees("不写您的名字")
    kept, found = jpeg(shop), one(shop)
    assert kept is not None and b"CANARY" not in kept and b"CANARY" in photo()
    assert Image.open(io.BytesIO(kept)).size == (found.width, found.height) == (900, 1_200)
    assert (found.sku, found.words, found.consent, found.credit) == ("RICE-5KG", "煮出来满屋子香", "anonymous", "")
    with shop.runtime.sessions() as session:
        (word,) = queries.words(session, 1)
    assert word.word == "anonymous" and "给其他顾客看" in word.wording and "但不写我的名字" in word.wording
    assert "李姐" not in word.wording and "【您的昵称】" in word.wording and word.at == shop.clock.now()
    approve(shop)
    li.saw("给别人看时不写名字")


def test_no_means_that_it_is_deleted_and_a_bare_yes_is_asked_again(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    li.says("投稿 真香")
    sends(li, photo()).sees("写上「来自@李姐」")
    li.says("好的").sees("请回复选项前的数字")
    assert one(shop).state == "draft" and jpeg(shop) is not None
    li.says("不可以").sees("照片已经删除")
    assert (one(shop).state, one(shop).why, one(shop).words, jpeg(shop)) == ("withdrawn", "said_no", "", None)
    with shop.runtime.sessions() as session:
        assert [word.word for word in queries.words(session, 1)] == ["no"]
    with pytest.raises(Conflict):
        approve(shop)


def test_nobody_without_a_name_is_asked_for_one(shop: Shop) -> None:
    li = shop.person("李姐")
    shop.event("customer.upserted", {"identities": li.identity, "nickname": ""})
    with shop.runtime.sessions.begin() as session:
        session.execute(text("update person set nickname = ''"))
    li.says("投稿 真香")
    sends(li, photo()).sees("1. 可以，但不写我的名字", "2. 不可以")
    li.says("1").sees("不写您的名字")
    assert one(shop).consent == "anonymous"


def test_several_pictures_of_one_of_several_products_are_talked_about_once(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    bought(shop, li, sku="OIL-5L")
    li.says("晒图")
    sends(li, photo()).sees("拍的是哪一件", "1. ", "2. ", "3. 都不是")
    sends(li, photo("#2040a0")).sees("共 2 张")
    li.says("99").sees("请回复 1 到 3")
    li.says("2").sees("说一两句")
    li.says("跳过").sees("这 2 张照片", "来自@李姐")
    li.says("匿名").sees("投稿编号 1、2")
    assert [(found.sku, found.words, found.state, found.has_picture) for found in all_of(shop)] == [
        ("RICE-5KG", "", "waiting", True)] * 2
    assert [word for (word,) in rows(shop, "select word from shot_word")] == ["anonymous"] * 2


def rows(shop: Shop, sql: str) -> list[tuple[object, ...]]:
    with shop.runtime.sessions() as session:
        return [tuple(row) for row in session.execute(text(sql))]


def test_a_picture_out_of_the_blue_and_one_after_showing_around(shop: Shop) -> None:
    li = shop.person("李姐")
    sends(li, photo()).sees("愿意给店里看看的话，回复「投稿」")
    assert all_of(shop) == [], "nothing is kept that nobody wanted kept"
    li.says("投稿").sees("照片收到了", "说一两句")
    li.says("取消")
    for number in range(4):
        bought(shop, li, f"A{number}")
    shop.wait(days=8)
    li.says("晒单").sees("正在为您生成晒单图")
    sends(li, photo("#2040a0")).sees("照片收到了", "「五常有机大米")
    li.says("晒单")
    li.says("谢谢")
    assert "照片" not in str(li.heard[-1]), "words after it are what they are"


def test_an_unanswered_one_is_deleted_after_a_day(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("投稿")
    sends(li, photo())
    shop.wait(hours=23)
    assert jpeg(shop) is not None
    li.says("我的投稿").sees("还没说可不可以给别人看")
    shop.wait(hours=3)
    assert (one(shop).why, jpeg(shop)) == ("unanswered", None)


@pytest.mark.parametrize(("content", "said"), [
    (b"hello", "不是照片"), (b"", "不是照片"), (photo()[:4_000], "不是照片"), (photo(width=1, height=1), "太小"),
    (photo(width=400, height=1_400), "太长"), (b"GIF", "动图"), (None, "没有取到"), ("bomb", "太大了"),
    (coded(), "二维码")])
def test_what_is_no_picture_is_said_so_and_nothing_is_kept(shop: Shop, content: bytes | str | None, said: str) -> None:
    li = shop.person("李姐")
    li.says("投稿")
    if content in (b"GIF", "bomb"):
        out = io.BytesIO()
        made = Image.new("P" if content == b"GIF" else "1", (400, 400) if content == b"GIF" else (9_000, 9_000))
        made.save(out, *(["GIF"] if content == b"GIF" else ["PNG"]))
        content = out.getvalue()
    assert not isinstance(content, str)
    sends(li, content)
    li.saw("编号 1 的照片没能收下", said)
    li.says("跳过").sees("没能收下")
    li.says("2")
    assert "投稿编号" not in str(li.heard[-1]), "nobody is asked about what is not there"
    assert (one(shop).state, jpeg(shop)) == ("withdrawn", None)
    with pytest.raises(Conflict):
        approve(shop)


def test_the_platform_is_asked_again_when_it_was_busy(shop: Shop) -> None:
    li = shop.person("李姐")
    li.says("投稿")
    shop.gateway.refusals.append(SendResult(Outcome.BACK_OFF, -1, retry_at=shop.runtime.context.real_now()))
    sends(li, photo())
    shop.wait(seconds=5)
    assert jpeg(shop) is not None


def test_the_same_picture_again_and_too_many_in_a_day(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    li.says("投稿")
    sends(li, photo())
    li.saw("编号 2 的照片没能收下", "之前发过")
    li.says("取消")
    for number in range(4):
        allowed(li, f"#{number}0{number}080")
    li.says("投稿")
    sends(li, photo("#101010")).sees("今天已经收到您的 6 张")
    shop.wait(days=1, minutes=1)
    li.says("投稿")
    sends(li, photo("#101010")).sees("照片收到了")


def test_declined_kindly_and_gone(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    with pytest.raises(DomainError):
        act(shop, service.decline, 1, "other", "")
    act(shop, service.decline, 1, "private", "可以只拍米饭")
    li.saw("李姐，谢谢您的照片（编号 1）", "拍到了人脸", "可以只拍米饭", "照片已经删除，没有给任何人看过")
    assert (one(shop).state, one(shop).why, jpeg(shop)) == ("declined", "private", None)
    assert "我的积分 0" in points(li)
    li.says("撤回投稿").sees("没有正在使用")


def test_words_that_nobody_may_say_are_left_out(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li, words="全国第一，包治百病")
    with pytest.raises(DomainError, match="shot_words"):
        approve(shop)
    assert one(shop).state == "waiting"
    assert approve(shop, with_words=False).words == ""


def test_about_nothing_of_ours_the_shop_says_what_it_is(shop: Shop) -> None:
    li = shop.person("李姐")
    allowed(li)
    with pytest.raises(DomainError, match="shot_no_product"):
        approve(shop)
    with pytest.raises(NotFound, match="product_unknown"):
        approve(shop, sku="NOPE")
    assert approve(shop, sku="RICE-5KG").title.startswith("五常有机大米")


def test_taken_back_it_is_given_to_nobody_from_that_moment(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    allowed(li)
    allowed(li, "#2040a0")
    approve(shop, 1)
    approve(shop, 2)
    assert shows(usage_poster(wang), BROWN) and shows(usage_poster(wang), BLUE), "one that they do not have yet"
    li.says("撤回投稿").sees("要撤回哪一张", "1. ", "2. ", "全部")
    li.says("7").sees("没有这个编号", "1、2")
    li.says("1").sees("已撤回编号 1", "照片已经删除", "已经收到、保存的图我们收不回来")
    assert (jpeg(shop, 1), one(shop, 1).words, one(shop, 1).why) == (None, "", "revoked")
    assert shows(usage_poster(wang), BLUE)
    li.says("撤回投稿 2").sees("已撤回编号 2")
    wang.says("素材 有机大米").sees("还没有顾客的使用照")
    with shop.runtime.sessions() as session:
        assert [word.word for word in queries.words(session, 1)] == ["named", "revoked"]
    assert "我的积分 60" in points(li), "what was given stays"
    wang.says("撤回投稿 2").sees("没有正在使用")


@dataclass
class Meanwhile(FakeGateway):
    """Something happens while a picture is uploaded: it is drawn by then, and not sent yet."""

    happens: Callable[[], object] = lambda: None

    def upload_image(self, jpeg: bytes) -> str:
        self.happens()
        return super().upload_image(jpeg)


def test_taken_back_while_somebodys_poster_is_under_way(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    allowed(li)
    approve(shop)
    author = person_id(shop, li)

    def take_back() -> None:
        with shop.runtime.sessions.begin() as session:
            service.revoke(session, [1], author, "撤回投稿", shop.clock.now())

    shop.gateway = Meanwhile(ACCOUNT, happens=take_back)
    cast(dict[str, Any], shop.runtime.gateways)[ACCOUNT] = shop.gateway
    wang.says("素材").sees("图几秒就到")
    wang.sees("主人刚刚撤回了，没有发给您")
    assert not [one for one in wang.heard if isinstance(one, bytes)]
    assert rows(shop, "select state, reason from outbox where kind = 'shot.poster'") == [
        ("refused", "shot_withdrawn")]


def test_who_comes_by_a_picture_and_buys_is_counted_and_what_nobody_comes_by_is_retired(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    allowed(li)
    allowed(li, "#2040a0")
    approve(shop, 1)
    approve(shop, 2)
    poster = usage_poster(wang)
    xin = Person(shop, "新客", "o" + "n" * 27)
    shop.people["新客"] = xin
    shop.event("customer.upserted", {"identities": xin.identity, "nickname": "新客"})
    xin.scans(poster).sees("小王")
    wang.scans(poster)
    assert (one(shop).given, one(shop).clicks, one(shop).orders) == (1, 1, 0), "one's own scan is none"
    bought(shop, xin)
    assert one(shop).orders == 1
    with shop.runtime.sessions.begin() as session:
        session.execute(text("""
            insert into shot_given (shot_id, person_id, first_at)
            select s, p.id, :now from generate_series(1, 2) s, person p where p.id not in (:wang)
        """), {"now": shop.clock.now(), "wang": person_id(shop, wang)})
        session.execute(text("""
            with more as (insert into person (referral_code, joined_at) select 'more' || n, :now
                            from generate_series(1, 30) n returning id)
            insert into shot_given (shot_id, person_id, first_at) select s, id, :now from more, generate_series(1, 2) s
        """), {"now": shop.clock.now()})
    shop.wait(days=29)
    assert {found.state for found in all_of(shop)} == {"approved"}
    shop.wait(days=2)
    assert [(found.state, found.why) for found in all_of(shop)] == [("approved", ""), ("retired", "weak")]
    assert (jpeg(shop, 1) is None, jpeg(shop, 2)) == (False, None)


def test_a_merge_takes_them_along_and_erasing_deletes_them(shop: Shop) -> None:
    li, old, wang = shop.person("李姐"), shop.person("翠湖老号"), shop.person("小王")
    bought(shop, old)
    allowed(old, words="翠湖北路二号的味道")
    approve(shop)
    usage_poster(wang)
    usage_poster(old)
    usage_poster(li)
    kept, gone = person_id(shop, li), person_id(shop, old)
    with shop.runtime.sessions.begin() as session:
        for mover in MOVERS:
            if mover.__module__ == service.__name__:
                mover(session, kept, gone, shop.clock.now())
    li.says("我的投稿").sees("已选用，2 人拿去分享")
    assert shows(usage_poster(wang), BROWN)
    with shop.runtime.sessions.begin() as session:
        known = tuple(Name(0, kept, "openid", who.identity["app_id"], who.openid, True) for who in (li, old))
        forgetting.forget(session, forgetting.Leaver((kept, gone), known, "翠湖老号"), shop.clock.now())
    assert (one(shop).state, one(shop).why, one(shop).words, jpeg(shop)) == ("withdrawn", "erased", "", None)
    assert [where for where in scan(shop, "翠湖") if not where.startswith("person.")] == []
    assert [word for (word,) in rows(shop, "select word from shot_word")] == ["named"], "what was agreed to stays"
    wang.says("素材 有机大米").sees("还没有顾客的使用照")
