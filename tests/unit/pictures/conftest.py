"""One studio for all picture tests, and a request to change with dataclasses.replace."""

from pathlib import Path

import pytest

from bot.pictures.studio import PosterRequest, Studio

POSTERS = Path(__file__).parents[3] / "assets" / "posters"


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio(POSTERS)


@pytest.fixture(scope="session")
def request_() -> PosterRequest:
    return a_request()


def a_request(sharer_name: str = "李姐🌸") -> PosterRequest:
    return PosterRequest(
        style="fresh",
        shop_name="李记有机",
        title="有机五常大米 稻花香2号 5kg",
        price_fen=6_800,
        list_price_fen=9_900,
        points=("产地直发", "现磨现发", "48小时内发货"),
        category="fmcg",
        sku="RICE-5KG",
        product_image=None,
        sharer_name=sharer_name,
        avatar=None,
        qr_url="http://weixin.qq.com/q/02aBcDeFgHiJkLmNoPqRsT",
        valid_until="2026-12-22",
    )
