"""Certificates: every tone with nasty names can be scanned, is the same every time, and faults are all named."""

import io
from datetime import date

import pytest
import zxingcpp
from PIL import Image

from bot.pictures import fonts, text
from bot.pictures.certificate import FRAME, CertificateRequest, Certificates, written
from bot.pictures.graphemes import clusters
from bot.pictures.papers import load
from bot.pictures.styles import StyleError
from bot.runtime.bootstrap import ASSETS

FOLDER = ASSETS / "certificates"
URL = "https://shop.example.com/c/k7Qm2xAbCdEfGhJkMnPq"
NAMES = {"promoter": "李姐🌸", "gold": "", "partner": "欧阳𠮷美子·Alexandra von und zu Hohenstein-Waldburg",
         "badge": "👨‍👩‍👧‍👦\u202e\u0000"}


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates(FOLDER)


def request(tone: str, **other: str) -> CertificateRequest:
    facts = {
        "tone": tone, "shop": "李记有机", "name": NAMES[tone], "heading": "电子证书",
        "preamble": "感谢您把真正的好东西用心分享给身边的人 经本店认证，特授予称号", "title": "生活推荐官",
        "citation": "分享好物，真诚待人", "number": "20261120004217", "issued": written(date(2026, 11, 20)),
        "hint": "扫码核验真伪", "url": URL}
    return CertificateRequest(**(facts | other))


@pytest.mark.parametrize("tone", sorted(NAMES))
def test_every_tone_can_be_scanned_and_repeated(certificates: Certificates, tone: str) -> None:
    made = certificates.draw(request(tone))
    picture = Image.open(io.BytesIO(made))
    assert picture.size == (1080, 1528) and len(made) < 600_000
    assert [code.text for code in zxingcpp.read_barcodes(picture)] == [URL]
    assert certificates.draw(request(tone)) == made


def test_shops_of_any_name_have_a_seal(certificates: Certificates) -> None:
    for shop in ("A", "", "李记", "北京同仁堂健康药业有限公司第一分店", "Café 🌿"):
        assert certificates.draw(request("promoter", shop=shop))


def test_dates_as_documents_write_them() -> None:
    assert written(date(2026, 11, 20)) == "二〇二六年十一月二十日"
    assert written(date(2030, 1, 31)) == "二〇三〇年一月三十一日" and written(date(2027, 10, 5)) == "二〇二七年十月五日"


def test_a_name_is_set_in_one_face() -> None:
    assert text.all_serif(clusters("李姐🌸")) and not text.all_serif(clusters("欧阳𠮷"))
    assert set(fonts.covered(fonts.SERIF)) >= set(map(ord, "李姐证书生活推荐官金牌合伙人〇"))


def test_faults_of_every_tone_are_named(tmp_path) -> None:
    source = (FOLDER / "layout.toml").read_text("utf-8")
    broken = source.replace('ink = "#22352a"\n', "", 1).replace("{citation}", "{salary}").replace("points = 5", "")
    broken = broken.replace('[palette.gold]\nlight = "#fffdf6"', '[palette.gold]\nlight = "cream"')
    (tmp_path / "layout.toml").write_text(broken, "utf-8")
    with pytest.raises(StyleError) as fault:
        load(tmp_path / "layout.toml", FRAME)
    for part in ("promoter: layer 6: there is no colour 'ink'", "unknown place {salary}", "gold: 'light' is 'cream'"):
        assert part in str(fault.value), part
    outside = '[palette.a]\n[[layer]]\nkind = "code"\nbox = [0, 0, 9999, 1]\ncolour = "#000000"'
    for text_ in ("", "layer = 3", "x = ", outside):
        (tmp_path / "layout.toml").write_text(text_, "utf-8")
        with pytest.raises(StyleError):
            load(tmp_path / "layout.toml", FRAME)
