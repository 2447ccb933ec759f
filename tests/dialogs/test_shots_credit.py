"""投稿匿名 and 投稿署名: an author changes whether their name stands with a picture; and why one was refused."""

from typing import Any, cast

import pytest
from sqlalchemy import text

from domain.shots import queries, service
from tests.dialogs.test_grants import person_id
from tests.dialogs.test_shots import Meanwhile, rows, usage_poster
from tests.fakes.album import act, allowed, approve, bought, one
from tests.fakes.shop import ACCOUNT, Shop


def words_of(shop: Shop, number: int = 1) -> list[tuple[str, str]]:
    with shop.runtime.sessions() as session:
        return [(word.word, word.wording) for word in queries.words(session, number)]


def test_a_name_is_taken_away_at_once_and_added_after_a_yes(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    li.says("投稿匿名").sees("您没有署名的投稿照片")
    allowed(li)
    approve(shop)
    wang.says("素材").sees("@李姐 的使用照")
    li.says("投稿匿名").sees("编号 1 从现在起不写您的名字", "改不了")
    li.says("我的投稿").sees("不署名")
    wang.says("素材").sees("一位顾客的使用照")
    assert "李姐" not in str(wang.heard[-2])
    li.says("投稿匿名 1").sees("您没有署名的投稿照片")
    li.says("投稿署名").sees("写上「来自@李姐」，可以吗")
    li.says("再想想").sees("不写您的名字，照片照旧")
    assert one(shop).consent == "anonymous"
    li.says("投稿署名 1").says("取消").sees("不写您的名字，照片照旧")
    li.says("投稿署名 1").says("是").sees("从现在起写上「来自@李姐」")
    wang.says("素材").sees("@李姐 的使用照")
    kept = words_of(shop)
    assert [word for word, _ in kept] == ["named", "anonymous", "named"]
    assert kept[1][1] == "不再写我的名字（投稿匿名）"
    assert "【您的昵称】" in kept[2][1] and "李姐" not in kept[2][1]
    assert one(shop).state == "approved"


def test_by_number_and_what_is_not_there_any_more(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    allowed(li)
    allowed(li, "#2040a0")
    li.says("投稿匿名 9").sees("没有这个编号", "1、2")
    wang.says("投稿匿名 1").sees("您没有署名的投稿照片")
    li.says("投稿匿名 2").sees("编号 2 从现在起")
    assert (one(shop, 1).consent, one(shop, 2).consent) == ("named", "anonymous")
    li.says("投稿署名 1").sees("没有这个编号", "没署名的是 2")
    li.says("投稿署名 2")
    with shop.runtime.sessions.begin() as session:
        service.revoke(session, [2], person_id(shop, li), "撤回投稿", shop.clock.now())
    li.says("是").sees("不写您的名字")
    assert (one(shop, 2).state, one(shop, 2).consent) == ("withdrawn", "")


def test_a_poster_with_the_name_that_is_under_way_does_not_leave(shop: Shop) -> None:
    li, wang = shop.person("李姐"), shop.person("小王")
    bought(shop, li)
    allowed(li)
    approve(shop)
    author = person_id(shop, li)

    def unsign() -> None:
        with shop.runtime.sessions.begin() as session:
            service.change_credit(session, [1], author, "anonymous", "投稿匿名", shop.clock.now())

    shop.gateway = Meanwhile(ACCOUNT, happens=unsign)
    cast(dict[str, Any], shop.runtime.gateways)[ACCOUNT] = shop.gateway
    wang.says("素材").sees("主人刚刚改成不写名字，没有发给您")
    assert rows(shop, "select state, reason from outbox where kind = 'shot.poster'") == [("refused", "shot_unsigned")]
    assert usage_poster(wang), "asked again it comes, without the name"


@pytest.mark.parametrize(("reason", "words", "told"), [
    ("private", "", "拍到了人脸、地址或者别的隐私"), ("unclear", "换个亮一点的地方", "看不太清。换个亮一点的地方"),
    ("other", "这是去年的包装", "没有用上：这是去年的包装"),
])
def test_why_a_picture_was_refused_is_told_to_whoever_asks(shop: Shop, reason: str, words: str, told: str) -> None:
    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    act(shop, service.decline, 1, reason, words)
    li.says("我的投稿").sees("编号 1 的照片这次没有用上", told, "已经删除")
    shop.wait(days=31)
    li.says("我的投稿").sees("您没有正在使用")
    assert told not in str(li.heard[-1])


def test_what_was_added_to_a_refusal_goes_with_whoever_is_forgotten(shop: Shop) -> None:
    from domain.workflows import forgetting

    li = shop.person("李姐")
    bought(shop, li)
    allowed(li)
    act(shop, service.decline, 1, "other", "您家门牌翠湖北路 9 号入镜了")
    with shop.runtime.sessions.begin() as session:
        forgetting.forget(session, forgetting.Leaver((person_id(shop, li),), (), ""), shop.clock.now())
        assert session.execute(text("select said, state, why from shot")).all() == [("", "declined", "other")]
