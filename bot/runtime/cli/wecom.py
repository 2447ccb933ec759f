"""``python -m bot wecom …``: codes by which customers add employees, who has whom, and the tags they carry there."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from domain.contacts.queries import ListedContact, ListedWay, TagView, WayView

_limit = click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True,
                      help="How many at most, the newest first.")
_account = click.option("--account", default="",
                        help="The application, [wecom.<account>]; needed if there are several.")


@click.group()
def wecom() -> None:
    """WeCom: make 「联系我」 codes, list contacts with their tags, and the employees who have them."""


@wecom.command()
@click.argument("userid")
@click.option("--sharer", type=row_id, help="The person (number) who brings them.")
@click.option("--product", default="", metavar="SKU", help="What customers of this code are interested in.")
@_account
@as_option
@json_option
def way(userid: str, sharer: int | None, product: str, account: str, as_name: str, as_json: bool) -> None:
    """Make a 「联系我」 code of the employee USERID and print the address of its picture.

    Whoever adds the employee by it is welcomed with the sharer's name, bound to the sharer, and tagged in WeCom.

    \b
    Example:  python -m bot wecom way zhangsan --sharer 17 --product RICE-5KG --as wu
    """
    from bot.kit.gateway import GatewayError
    from bot.runtime.wecom_doctor import remedy
    from handlers.jobs import contact_ways

    with shop() as runtime:
        with runtime.sessions() as session:
            actor = acting(session, as_name)
        try:
            made = contact_ways.make(runtime.context, account or _only(runtime.settings.wecom), userid, sharer, product,
                                     actor)
        except GatewayError as refusal:
            complain(f"WeCom refused: {refusal.result.errcode or refusal.result.outcome} {refusal.result.detail}"
                     f"\n{remedy(refusal.result.errcode)}".rstrip())
    if as_json:
        print_json(asdict(made))
    else:
        click.echo(_way_line(made))


@wecom.command()
@_limit
@json_option
def ways(limit: int, as_json: bool) -> None:
    """List codes: whose they are, for which sharer and product, and how many customers came by them and stayed.

    \b
    Example:  python -m bot wecom ways --json
    """
    from domain.contacts import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.ways(session, limit=limit)
    if as_json:
        print_json([asdict(one.way) | {"sharer": one.sharer, "contacts": one.contacts} for one in found])
    else:
        click.echo("\n".join(_listed_way(one) for one in found) or "no code was made yet")


@wecom.command()
@click.option("--userid", default="", help="Only this employee's.")
@click.option("--ended", is_flag=True, help="Also those who have parted.")
@_limit
@json_option
def contacts(userid: str, ended: bool, limit: int, as_json: bool) -> None:
    """List who has whom: since when, by whose code, how the welcome ended, and the tags in WeCom.

    \b
    Example:  python -m bot wecom contacts --userid zhangsan --json
    """
    from domain.contacts import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.listed(session, userid=userid, ended=ended, limit=limit)
        tags = queries.tags_of(session, [one.contact.id for one in found])
    if as_json:
        print_json([_told(one, tags[one.contact.id]) for one in found])
    else:
        click.echo("\n".join(_contact_line(one, tags[one.contact.id]) for one in found) or "nobody was added yet")


@wecom.command()
@json_option
def tags(as_json: bool) -> None:
    """List tags that could not be put on, with the reason; those that wait come first.

    \b
    Example:  python -m bot wecom tags --json
    """
    from domain.contacts import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.open_tags(session, limit=1_000)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(f"contact {one.contact_id:<8} {one.kind:<9} {one.name or one.value:<30} {one.state:<8} "
                             f"{one.reason}" for one in found) or "every tag is as wanted")


@wecom.command()
@json_option
def staff(as_json: bool) -> None:
    """List known employees and how many customers each has now.

    \b
    Example:  python -m bot wecom staff --json
    """
    from domain.contacts import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.staff(session)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(f"{one.userid:<24} {one.contacts:>6} customers  last seen {stamp(one.last_seen_at)}"
                             for one in found) or "no employee is known yet")


def _only(accounts: Any) -> str:
    if len(accounts) != 1:
        complain("say which application with --account" if accounts else "the accounts file has no [wecom.…]", 2)
    return str(next(iter(accounts)))


def _told(one: "ListedContact", tags: "list[TagView]") -> dict[str, Any]:
    return asdict(one.contact) | {"nickname": one.nickname, "tags": [asdict(tag) for tag in tags]}


def _contact_line(one: "ListedContact", tags: "list[TagView]") -> str:
    contact = one.contact
    state = f"parted ({contact.ended_by})" if contact.ended_by else "half" if contact.half else "friends"
    names = " ".join(tag.name for tag in tags if tag.state == "done" and tag.wanted)
    return (f"{contact.id:>6}  {contact.userid:<16} {one.nickname or '-':<16} person {contact.person_id:<8} "
            f"{state:<17} since {stamp(contact.since)}  welcome: {contact.welcome or '-'}  {names}").rstrip()


def _way_line(one: "WayView") -> str:
    return f"{one.id:>6}  {one.userid:<16} {one.token}  {one.url}"


def _listed_way(one: "ListedWay") -> str:
    return f"{_way_line(one.way)}  {one.sharer or '-'}  {one.way.sku or '-'}  {one.contacts} customers"
