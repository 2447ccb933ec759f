"""Settings: defaults, every fault at once, no secret shown, the demo, the generated key."""

import copy
import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.runtime import rewards
from bot.runtime import settings as module
from bot.runtime.demo_keys import make_demo_pairs
from bot.runtime.secret import Secret, derive, kept_key
from bot.runtime.settings import SettingsError, load
from domain.draws.rules import Campaigns
from domain.mall.rules import Mall
from tests.fakes import pay_keys

KEY = "abcdefghij" * 4
AES = "A" * 21 + "b" * 20 + "9" * 2
SHOP = f"""
[shop]
name = "Li's farm"

[wechat.main]
app_id = "wx0123456789abcdef"
app_secret = "sentinel-app-secret-0123456789ab"
token = "sentineltoken"
encoding_aes_key = "{AES}"
original_id = "gh_0123456789ab"

[wecom.main]
corp_id = "ww0123456789abcdef"
agent_id = 1000002
secret = "sentinel-corp-secret"
token = "sentineltoken2"
encoding_aes_key = "{AES}"

[api.mall]
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
api_key = "sentinel-api-key-0123456789abcdef"
"""


def faults_of(env: dict[str, str], cwd: Path) -> dict[str, str]:
    """Where -> the whole sentence, of loading ``env``."""
    with pytest.raises(SettingsError) as caught:
        load(env, cwd)
    return {fault.where: str(fault) for fault in caught.value.faults}


def with_accounts(cwd: Path, toml: str = SHOP, **env: str) -> dict[str, str]:
    (cwd / "accounts.toml").write_text(toml)
    return {"HUITOU_ACCOUNTS": "accounts.toml", "HUITOU_SECRET_KEY": KEY, **env}


def test_a_shop_of_ones_own_promises_no_prize_and_no_goods_of_the_demos(tmp_path: Path) -> None:
    """Whoever runs a shop decides what is given away in its name."""
    own, demo = rewards.tools(load(with_accounts(tmp_path), tmp_path)), rewards.tools(load({}, tmp_path / "demo"))
    assert own[Campaigns].campaign == () and {one.kind for one in own[Mall].item} == {"coupon"}
    assert demo[Campaigns].campaign and "product" in {one.kind for one in demo[Mall].item}


def test_a_mode_that_is_refused_is_told_beside_other_faults(tmp_path: Path) -> None:
    plain = SHOP.replace('original_id = "gh_0123456789ab"', 'mode = "plain"')
    assert {"wechat.main.original_id", "wechat.main.mode"} <= set(faults_of(with_accounts(tmp_path, plain), tmp_path))
    keyless = SHOP.replace(f'encoding_aes_key = "{AES}"\noriginal_id = "gh_', 'original_id = "hh_')
    told = faults_of(with_accounts(tmp_path, keyless), tmp_path)
    assert {"wechat.main.original_id", "wechat.main.encoding_aes_key"} <= set(told)


def test_without_anything_the_demo_shop_is_served(tmp_path: Path) -> None:
    settings = load({}, tmp_path)
    assert (settings.port, settings.demo, settings.home) == (8000, True, tmp_path / "var")
    assert settings.embedded_database and settings.embedded_cache
    assert settings.wechat["demo"].api_base == "http://127.0.0.1:8000/sim/weixin"
    assert settings.api["mall"].api_key.reveal() and len(settings.api["mall"].webhook_secrets) == 1


def test_the_demo_keeps_its_secrets_over_restarts_and_shares_them_with_nobody(tmp_path: Path) -> None:
    first, again = load({"HUITOU_HOME": "a"}, tmp_path), load({"HUITOU_HOME": "a"}, tmp_path)
    other = load({"HUITOU_HOME": "b"}, tmp_path)
    assert first.wechat["demo"] == again.wechat["demo"]
    assert first.wechat["demo"].token != other.wechat["demo"].token
    assert first.wechat["demo"].encoding_aes_key != other.wechat["demo"].encoding_aes_key


def test_an_accounts_file_ends_the_demo(tmp_path: Path) -> None:
    settings = load(with_accounts(tmp_path), tmp_path)
    assert not settings.demo
    assert settings.wechat["main"].api_base == "https://api.weixin.qq.com"
    assert settings.wecom["main"].agent_id == 1000002
    assert str(settings.shop.timezone) == "Asia/Shanghai"
    assert not (tmp_path / "var").exists(), "with a key given, nothing is written"


def test_every_fault_is_told_at_once_with_its_place_and_remedy(tmp_path: Path) -> None:
    toml = """
        [shopp]
        name = "x"
        [wechat.main]
        app_id = "nonsense"
        app_secrt = "sentinel-app-secret"
        token = ""
        encoding_aes_key = "short"
        original_id = "gh_1"
        type = "servise"
        api_base = "http://api.weixin.qq.com"
        [wechat."Not A Name"]
        [api.mall]
        webhook_secret = "secret"
        api_key = "sentinel-api-key-0123456789abcdef"
    """
    env = with_accounts(tmp_path, toml, PORT="eighty", WEB_THREADS="0", HUITOU_DEMO="maybe", LOG_LEVEL="inof",
                        DATABASE_URL="mysql://root:sentinel@db/x", REDIS_URL="http://x")
    faults = faults_of(env | {"HUITOU_SECRET_KEY": "short"}, tmp_path)
    assert set(faults) == {
        "PORT", "WEB_THREADS", "HUITOU_DEMO", "LOG_LEVEL", "DATABASE_URL", "REDIS_URL", "HUITOU_SECRET_KEY",
        "[shopp]", "[shop]", "wechat.main.app_id", "wechat.main.app_secrt", "wechat.main.app_secret",
        "wechat.main.token", "wechat.main.encoding_aes_key", "wechat.main.type", "wechat.main.api_base",
        "[wechat.Not A Name]", "api.mall.webhook_secret",
    }
    assert "did you mean shop?" in faults["[shopp]"]
    assert "did you mean app_secret?" in faults["wechat.main.app_secrt"]
    assert "did you mean service?" in faults["wechat.main.type"]
    assert "did you mean info?" in faults["LOG_LEVEL"]
    assert "43 characters" in faults["wechat.main.encoding_aes_key"]
    assert "sentinel" not in " ".join(faults.values())


def test_a_misspelt_variable_does_not_silently_serve_the_demo(tmp_path: Path) -> None:
    assert "did you mean HUITOU_ACCOUNTS?" in faults_of({"HUITOU_ACOUNTS": "x"}, tmp_path)["HUITOU_ACOUNTS"]
    assert load({"HUITOU_UNRELATED": "x"}, tmp_path).demo


@pytest.mark.parametrize(("env", "where"), [
    ({"HUITOU_DEMO": "0"}, "HUITOU_ACCOUNTS"),
    ({"HUITOU_ACCOUNTS": "missing.toml"}, "HUITOU_ACCOUNTS"),
    ({"HUITOU_SECRET_KEY": "a" * 64}, "HUITOU_SECRET_KEY"),
    ({"HUITOU_SECRET_KEY_FILE": "missing"}, "HUITOU_SECRET_KEY_FILE"),
    ({"HUITOU_SECRET_KEY": KEY, "HUITOU_SECRET_KEY_FILE": "x"}, "HUITOU_SECRET_KEY"),
    ({"PUBLIC_URL": "shop.example.com"}, "PUBLIC_URL"),
    ({"PORT": "65536"}, "PORT"),
])
def test_single_faults(env: dict[str, str], where: str, tmp_path: Path) -> None:
    assert list(faults_of(env, tmp_path)) == [where]


def test_broken_toml_names_the_place(tmp_path: Path) -> None:
    assert "line 2" in faults_of(with_accounts(tmp_path, "[shop]\nname = x"), tmp_path)["accounts.toml"]


def test_plain_mode_is_for_demos_only(tmp_path: Path) -> None:
    toml = SHOP.replace('original_id', 'mode = "plain"\noriginal_id', 1)
    assert list(faults_of(with_accounts(tmp_path, toml), tmp_path)) == ["wechat.main.mode"]
    assert load(with_accounts(tmp_path, toml, HUITOU_DEMO="1"), tmp_path).wechat["main"].mode == "plain"


def test_safe_mode_needs_its_key(tmp_path: Path) -> None:
    toml = SHOP.replace(f'encoding_aes_key = "{AES}"', "", 1)
    assert list(faults_of(with_accounts(tmp_path, toml), tmp_path)) == ["wechat.main.encoding_aes_key"]


def test_two_accounts_that_cannot_be_told_apart(tmp_path: Path) -> None:
    again = SHOP[SHOP.index("[wechat.main]"):SHOP.index("[wecom")].replace("main", "second")
    mall = SHOP[SHOP.index("[api.mall]"):].replace("mall", "store")
    assert set(faults_of(with_accounts(tmp_path, SHOP + again + mall), tmp_path)) == {
        "wechat.second.app_id", "api.store.api_key"}


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "app").write_text("from-a-file-0123456789\n")
    (tmp_path / "key").write_text(KEY + "\n")
    toml = SHOP.replace('app_secret = "sentinel-app-secret-0123456789ab"', 'app_secret_file = "app"')
    env = with_accounts(tmp_path, toml, HUITOU_SECRET_KEY_FILE="key")
    del env["HUITOU_SECRET_KEY"]
    settings = load(env, tmp_path)
    assert settings.wechat["main"].app_secret.reveal() == "from-a-file-0123456789"
    assert settings.secret_key.reveal() == KEY


PAY = """
    [pay.main]
    mch_id = "1900000001"
    app_id = "wx0123456789abcdef"
    serial_no = "5157F09EFDC096DE15EBE81A47057A72"
    private_key_file = "key.pem"
    api_v3_key = "0123456789abcdef0123456789abcdef"
"""


def test_a_private_key_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(pay_keys.merchant().pem)
    account = load(with_accounts(tmp_path, SHOP + PAY), tmp_path).pay["main"]
    assert account.private_key.reveal().startswith("-----BEGIN")
    assert account.api_base == "https://api.mch.weixin.qq.com"
    assert account.public_key is None and account.scene == "1005"


def test_the_platforms_public_key_comes_with_its_id(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(pay_keys.merchant().pem)
    (tmp_path / "pub.pem").write_text(pay_keys.platform().public_pem)
    both = PAY + 'public_key_file = "pub.pem"\npublic_key_id = "PUB_KEY_ID_0119000001"'
    assert load(with_accounts(tmp_path, SHOP + both), tmp_path).pay["main"].public_key_id == "PUB_KEY_ID_0119000001"
    for lonely in ('public_key_file = "pub.pem"', 'public_key_id = "PUB_KEY_ID_0119000001"'):
        assert list(faults_of(with_accounts(tmp_path, SHOP + PAY + lonely), tmp_path)) == ["pay.main.public_key"]


@pytest.mark.parametrize(("pem", "problem"), [
    ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----", "is no PEM private key"),
    (pay_keys.small(), "has 1024 bits only"), (pay_keys.locked(), "is protected by a password"),
    (pay_keys.elliptic(), "is no RSA key"), *((pay_keys.mistyped(n), "is no PEM private key") for n in range(4)),
])
def test_a_private_key_that_cannot_sign_is_told_at_start(pem: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(pem)
    (told,) = faults_of(with_accounts(tmp_path, SHOP + PAY), tmp_path).values()
    assert problem in told and "apiclient_key.pem" in told and pem not in told


def test_the_demo_pays_out_once_its_keys_are_made(tmp_path: Path) -> None:
    assert not load({}, tmp_path).pay
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(make_demo_pairs, [tmp_path / "var"] * 3))
    first, again = load({}, tmp_path).pay["main"], load({}, tmp_path).pay["main"]
    assert first == again and first.api_base == "http://127.0.0.1:8000/sim/pay"
    assert stat.S_IMODE(os.stat(tmp_path / "var" / "pay" / "merchant.pem").st_mode) == 0o600


def test_several_webhook_secrets_for_rotation(tmp_path: Path) -> None:
    one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    toml = SHOP.replace(f'webhook_secret = "{one}"', f'webhook_secrets = ["{one}", "whsec_{"QUJD" * 8}"]')
    assert len(load(with_accounts(tmp_path, toml), tmp_path).api["mall"].webhook_secrets) == 2


_GOOD = '"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"'


@pytest.mark.parametrize(("written", "where", "problem"), [
    ('webhook_secret = "canary"', "api.mall.webhook_secret", "is no webhook secret"),
    ('webhook_secret_file = "canary"', "api.mall.webhook_secret_file", "is no webhook secret"),
    ('webhook_secret_file = "nowhere"', "api.mall.webhook_secret_file", "cannot be read"),
    (f'webhook_secrets = [{_GOOD}, "canary"]', "api.mall.webhook_secrets", "is no webhook secret"),
    ('webhook_secrets_file = ["canary"]', "api.mall.webhook_secrets", "is no webhook secret"),
    (f'webhook_secret = {_GOOD}\nwebhook_secret_file = "canary"', "api.mall.webhook_secret_file",
     "is given beside webhook_secret."),
    (f'webhook_secrets = [{_GOOD}]\nwebhook_secret_file = "canary"', "api.mall.webhook_secret_file",
     "is given beside webhook_secrets."),
])
def test_a_faulty_webhook_secret_is_named_as_it_was_written(
    written: str, where: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "canary").write_text("canary content")
    faults = faults_of(with_accounts(tmp_path, SHOP.replace(f"webhook_secret = {_GOOD}", written)), tmp_path)
    assert list(faults) == [where] and problem in faults[where] and "canary" not in faults[where]


@pytest.mark.parametrize("base", ["http://127.0.0.1:9000/x", "http://[::1]:1", "http://peer:8080", "https://a.example"])
def test_a_local_peer_may_be_plain_http(base: str, tmp_path: Path) -> None:
    toml = SHOP.replace("original_id", f'api_base = "{base}"\noriginal_id', 1)
    assert load(with_accounts(tmp_path, toml), tmp_path).wechat["main"].api_base == base


def test_no_representation_shows_a_secret(tmp_path: Path) -> None:
    env = with_accounts(tmp_path, DATABASE_URL="postgres://u:sentinel@h/d", REDIS_URL="redis://:sentinel@h/0",
                        METRICS_TOKEN="sentinel")
    settings = load(env, tmp_path)
    assert settings.database_url == "postgresql+psycopg://u:sentinel@h/d"
    shown = f"{settings} {settings!r} {settings.wechat}"
    assert "sentinel" not in shown and AES not in shown and KEY not in shown


def test_a_secret_stays_inside() -> None:
    secret = Secret("sentinel")
    assert "sentinel" not in f"{secret} {secret!r} {[secret]}"
    assert copy.deepcopy({"a": secret}) == {"a": Secret("sentinel")}
    assert secret != Secret("other") and not Secret("") and secret != "sentinel"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_derived_keys_differ_by_purpose_and_root() -> None:
    keys = {derive(Secret(root), purpose) for root in "ab" for purpose in ("x", "y")}
    assert len(keys) == 4 and {len(key) for key in keys} == {32}


def test_the_generated_key_is_private_and_the_same_for_all_who_start_at_once(tmp_path: Path) -> None:
    path = tmp_path / "home" / "secret.key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: kept_key(path).reveal(), range(64)))
    assert len(keys) == 1 and len(keys.pop()) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["secret.key"]


def test_a_damaged_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "secret.key").write_text("")
    assert list(faults_of({}, tmp_path)) == [str(tmp_path / "var" / "secret.key")]


def test_env_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# note\nPORT=9000 # here\nexport HOST='0.0.0.0'\n\n#LOG_LEVEL=debug\n")
    assert module.read_env_file(tmp_path / ".env") == {"PORT": "9000", "HOST": "0.0.0.0"}
    assert module.read_env_file(tmp_path / "none") == {}


def test_the_example_file_lists_every_variable_and_changes_nothing() -> None:
    example = Path(__file__).parents[3] / ".env.example"
    assert example.read_text() == module.env_example(), "run: python -m bot env-example > .env.example"
    assert all(f"#{variable.name}=" in module.env_example() for variable in module.VARIABLES)
    assert module.read_env_file(example) == {}
