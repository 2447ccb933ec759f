"""Member cards and prizes: every tone, nasty names, always the same bytes; a layout's faults are named."""

import io

import pytest
import zxingcpp
from PIL import Image

from bot.pictures.cards import CardMaker, MemberCardRequest, PrizeRequest, ShareRequest
from bot.pictures.styles import StyleError
from bot.runtime.bootstrap import ASSETS

FOLDER = ASSETS / "cards"


@pytest.fixture(scope="module")
def maker() -> CardMaker:
    return CardMaker(FOLDER)


def member(tone: str, name: str = "李姐🌸") -> MemberCardRequest:
    return MemberCardRequest(tone, "李记有机", name, "会员卡", "年度会员", "00000017", "有效期至 2027年11月20日",
                             "已省 ¥231.76", "全场 92 折 · 订单包邮 · 优先客服 · 生日礼")


def prize(tone: str, won: str = "四季有机礼盒", name: str = "李姐🌸") -> PrizeRequest:
    return PrizeRequest(tone, "李记有机", name, "恭喜中奖", won, "抽奖号 k7Qm2xAb-3　结果数 0017", "11月20日 10:00",
                        "次日公布种子，人人可验")


@pytest.mark.parametrize("name", ["李姐🌸", "", "欧阳𠮷美子·Alexandra von und zu Hohenstein-Waldburg",
                                  "👨‍👩‍👧‍👦\u202e\u0000"])
def test_cards_of_every_tier_and_name(maker: CardMaker, name: str) -> None:
    for tone in ("annual", "gold", "of another shop"):
        made = maker.member_card(member(tone, name))
        assert Image.open(io.BytesIO(made)).size == (1080, 680) and len(made) < 250_000
        assert maker.member_card(member(tone, name)) == made


def test_prizes_of_every_kind(maker: CardMaker) -> None:
    made = [maker.prize(prize(tone)) for tone in ("product", "coupon", "points", "red_packet")]
    assert {Image.open(io.BytesIO(one)).size for one in made} == {(900, 600)} and max(map(len, made)) < 200_000
    assert len(set(made)) == 3
    assert maker.prize(prize("product", "一个名字特别特别长的有机礼盒套装，含大米、蜂蜜、菜籽油和明前龙井茶各一份" * 2))


@pytest.mark.parametrize("name", ["李姐🌸", "", "欧阳𠮷美子·Alexandra von und zu Hohenstein-Waldburg"])
def test_what_is_shown_around_can_be_scanned(maker: CardMaker, name: str) -> None:
    link = "https://shop.example/r/4VDzCEgW?p=RICE-5KG"
    for tone in maker.share_tones():
        made = maker.share(ShareRequest(
            tone, "李记有机", name, "我的回头客成绩单", "我已完成第 128 单复购", "获得 ¥12,345.00 红包",
            "家里这阵子在吃有机大米 5kg，味道实在，老人孩子都爱吃。" * 3, "长按识别", link))
        picture = Image.open(io.BytesIO(made))
        assert picture.size == (1080, 1440) and len(made) < 400_000
        assert zxingcpp.read_barcodes(picture.resize((540, 720)))[0].text == link


def test_a_layout_without_a_colour_is_refused(tmp_path) -> None:
    for name in ("member.toml", "prize.toml", "share.toml"):
        (tmp_path / name).write_text((FOLDER / name).read_text("utf-8").replace("{name}", "{salary}"), "utf-8")
    with pytest.raises(StyleError, match=r"unknown place \{salary\}"):
        CardMaker(tmp_path)
