"""投稿 where it goes another way: who leaves, who sends the same again, who breaks off, who says it in other words."""

import hashlib
from collections.abc import Callable

import pytest

from bot.kit.gateway import Outcome, SendResult
from bot.runtime import demo_team
from domain.people import leaving as leavers
from domain.people import service as people
from domain.shots import service
from domain.shots.rules import Reason
from domain.workflows import leaving
from domain.workflows.merging import MOVERS
from tests.dialogs.test_grants import person_id
from tests.dialogs.test_shots import points, rows, usage_poster
from tests.fakes.album import act, all_of, allowed, approve, bought, jpeg, one, photo, sends
from tests.fakes.shop import Person, Shop


def how_asked(shop: Shop, li: Person) -> None:
    li.says("注销").sees("投稿照片", "确认时就停用并删除")
    li.says("确认注销").sees("已登记注销")


def how_ordered(shop: Shop, li: Person) -> None:
    one_ = person_id(shop, li)
    with shop.runtime.sessions.begin() as session:
        boss = demo_team.hire(session, shop.clock.now())["owner"]
        leaving.order_erasure(session, one_, boss, "letter", shop.clock.now())


def how_gone(shop: Shop, li: Person) -> None:
    li.happens("unsubscribe")
    shop.wait(days=20)
    shop.paid("YOUNG", by=li, fen=5_980)
    shop.wait(days=10, hours=2)


@pytest.mark.parametrize("how", [how_asked, how_ordered, how_gone])
def test_who_leaves_is_shown_no_more_from_the_moment_that_it_is_noted(
    shop: Shop, how: Callable[[Shop, Person], None]
) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    allowed(li)
    allowed(li, "#2040a0")
    approve(shop)
    usage_poster(wang)
    how(shop, li)
    with shop.runtime.sessions() as session:
        (waits,) = leavers.erasures(session, person_id=person_id(shop, li))
    assert waits.state == "waiting", "its carrying out is put off"
    assert [(found.state, found.why, found.has_picture, found.words) for found in all_of(shop)] == [
        ("withdrawn", "leaving", False, "")] * 2
    wang.says("素材 有机大米").sees("还没有顾客的使用照")
    if how is how_asked:
        li.says("投稿")
        sends(li, photo("#20a040")).sees("已登记注销，照片先不收了")
        li.says("取消注销").sees("注销已取消", "照片已经删除，可以回复「投稿」再发", "其他一切照旧")
        allowed(li, "#20a040").sees("投稿编号 3")


def test_the_same_picture_earns_once_however_often_it_is_taken_back(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    bought(shop, wang)
    allowed(li)
    approve(shop, 1)
    assert "我的积分 30" in points(li) and "投稿被选用" in points(li)
    li.says("撤回投稿").sees("已撤回编号 1")
    allowed(li)
    approve(shop, 2)
    li.saw("照片（编号 2", "被选用了")
    assert "积分，已经到账" not in next(str(said) for said in reversed(li.heard) if "编号 2" in str(said))
    assert "我的积分 30" in points(li)
    allowed(li, "#2040a0")
    approve(shop, 3)
    assert "我的积分 60" in points(li), "another picture is another"
    allowed(wang)
    approve(shop, 4)
    assert "我的积分 30" in points(wang), "somebody else may have been there, too"
    digest = hashlib.sha256(photo()).hexdigest()
    assert [cause for (cause,) in rows(shop, "select cause from point_lot") if digest in str(cause)] == []


def test_thanks_say_what_is_true_when_it_ended_meanwhile(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    allowed(li, "#2040a0")
    approve(shop, 1, work=False)
    act(shop, service.retire, 1, "旧包装")
    li.saw("照片（编号 1", "被选用了", "送您 30 积分", "已经停用并删除")
    assert not any("给别人看时" in str(said) for said in li.heard)
    approve(shop, 2)
    li.saw("照片（编号 2", "给别人看时会写「来自@李姐」")


@pytest.mark.parametrize("at", ["product", "words", "consent"])
def test_breaking_off_deletes_what_was_sent(shop: Shop, at: str) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    if at == "product":
        bought(shop, li, sku="OIL-5L")
    li.says("投稿")
    sends(li, photo())
    if at == "consent":
        li.says("真香").sees("您的话是：“真香”")
    assert jpeg(shop) is not None
    li.says("取消").sees("照片已经删除")
    assert (one(shop).state, one(shop).why, jpeg(shop)) == ("withdrawn", "cancelled", None)
    li.says("我的投稿").sees("没有正在使用")


def test_asked_for_in_other_words_it_is_taken_back_after_a_yes(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    approve(shop)
    for said in ("删照片", "停用照片", "照片撤回", "撤回我的投稿", "删掉我的照片", "把我的照片删了",
                 "不想让别人看到我的照片", "不同意使用我的照片了"):
        li.says(said).sees("要撤回编号 1", "回复「是」撤回")
        li.says("不要")
        assert one(shop).state == "approved"
    li.says("停用照片").says("是").sees("已撤回编号 1")
    assert (one(shop).why, jpeg(shop)) == ("revoked", None)


def test_too_many_words_are_asked_for_again(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    li.says("投稿 " + "香" * 130).sees("130 字", "120 字以内")
    sends(li, photo()).sees("说一两句")
    li.says("香" * 121).sees("121 字", "120 字以内")
    li.says("香" * 120).sees("香" * 120, "来自@李姐")
    li.says("1").sees("投稿编号 1")
    assert one(shop).words == "香" * 120
    ((wording,),) = rows(shop, "select wording from shot_word")
    assert "香" not in str(wording) and "【您的话】" in str(wording), "the record outlives the words"


def test_a_poster_that_never_left_is_not_given(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    allowed(li)
    approve(shop)
    shop.gateway.refusals.append(SendResult(Outcome.REJECTED, 40_001))
    wang.says("素材")
    assert not isinstance(wang.heard[-1], bytes)
    assert one(shop).given == 0
    usage_poster(wang)
    assert one(shop).given == 1


def test_somebody_under_two_names_earns_once_for_one_picture(shop: Shop) -> None:
    li, old = shop.person("李姐"), shop.person("老号")
    bought(shop, li)
    bought(shop, old)
    allowed(old)
    approve(shop, 1)
    old.says("撤回投稿").sees("已撤回编号 1")
    with shop.runtime.sessions.begin() as session:
        people.merge(session, person_id(shop, old), person_id(shop, li), "test", shop.clock.now(), MOVERS)
    assert "我的积分 30" in points(li)
    allowed(li)
    approve(shop, 2)
    assert "我的积分 30" in points(li)


def test_who_asks_after_a_refusal_is_told_of_it(shop: Shop) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    act(shop, service.decline, 1, "unclear", "")
    asked = "没通过", "投稿没通过", "投稿没通过吗", "投稿通过了吗", "我的投稿"
    for said in asked:
        li.says(said).sees("编号 1 的照片这次没有用上", "欢迎再拍一张")
    shop.wait(days=31)
    for said in asked:
        li.says(said)
        assert "没有用上" not in str(li.heard[-1])


@pytest.mark.parametrize(("reason", "told"), [("unclear", "看不太清。请换个角度"), ("other", "用上：请换个角度")])
def test_what_was_added_to_a_refusal_does_not_run_into_what_follows(shop: Shop, reason: Reason, told: str) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    act(shop, service.decline, 1, reason, "请换个角度")
    li.says("我的投稿").sees(f"{told}\n照片已经删除，没有给任何人看过。欢迎再拍一张。")
