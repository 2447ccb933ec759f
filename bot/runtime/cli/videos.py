"""``python -m bot video …``: the videos that share kits carry."""

from dataclasses import asdict

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, shop, stamp

_sku = click.option("--sku", default="", help="Of this product; of the whole shop if not given.")


@click.group()
def video() -> None:
    """What somebody who just bought may show around: a video of one product, or one of the shop for all others."""


@video.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the videos that operators gave. The mall may tell others with its products (video_url).

    \b
    Example:  python -m bot video list
    """
    from domain.materials import videos

    with shop() as runtime, runtime.sessions() as session:
        found = videos.listed(session)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(f"{one.sku or '(the shop)':<16} {one.url}  {stamp(one.set_at)} by {one.set_by}"
                             for one in found) or "none")


@video.command("set")
@click.argument("url")
@_sku
@as_option
def set_(url: str, sku: str, as_name: str) -> None:
    """Give a product, or the shop, its video: an https address of 500 characters at most.

    \b
    Example:  python -m bot video set https://shop.example/films/rice --sku RICE-5KG --as lin
    """
    from domain.materials import videos

    with shop() as runtime, runtime.sessions.begin() as session:
        videos.give(session, sku, url, acting(session, as_name), runtime.clock.now())
    click.echo(f"{sku or 'the shop'} has its video")


@video.command()
@_sku
@as_option
def remove(sku: str, as_name: str) -> None:
    """Take an operator's video away; what the mall or the share kit names counts again.

    \b
    Example:  python -m bot video remove --sku RICE-5KG --as lin
    """
    from domain.materials import videos

    with shop() as runtime, runtime.sessions.begin() as session:
        videos.take_away(session, sku, acting(session, as_name), runtime.clock.now())
    click.echo(f"{sku or 'the shop'} has no video of an operator's any more")
