"""``python -m bot reward …``: what orders opened, who could not be counted, coupons and red packets put right."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import (
    acting,
    as_option,
    json_option,
    nobody,
    print_json,
    row_id,
    shop,
    stamp,
    waits_for_second,
)
from domain.shared.money import yuan

if TYPE_CHECKING:
    from domain.rewards.queries import CouponView

_reason = click.option("--reason", required=True, help="Why; kept in the log.")
_person = click.argument("person_id", metavar="PERSON", type=row_id)


@click.group()
def reward() -> None:
    """See rewards for coming back and buyers whose count failed; take coupons and red packets back, give coupons anew.

    PERSON is an id as the API gives it, GIFT the number of a red packet (see: reward gifts).
    """


@reward.command("list")
@_person
@json_option
def show(person_id: int, as_json: bool) -> None:
    """List the rewards and coupons of PERSON, the newest first: what, by which rung, provisional or final.

    \b
    Example:  python -m bot reward list 17 --json
    """
    from domain.people import queries as people
    from domain.rewards import queries

    with shop() as runtime, runtime.sessions() as session:
        known = people.person(session, person_id)
        if known is None:
            nobody(person_id)
        found = queries.rewards_of(session, known.id)
        coupons = queries.coupons_of(session, known.id, runtime.clock.now())
    if as_json:
        print_json({"person_id": known.id, "rewards": [asdict(one) for one in found],
                    "coupons": [asdict(one) for one in coupons]})
        return
    for one in found:
        until = f"  until {stamp(one.until)}" if one.until else ""
        click.echo(f"{stamp(one.since)}  {one.what:<10} {one.amount:>8}  {one.state:<11} {one.title}{until}")
    for coupon in coupons:
        click.echo(f"{stamp(coupon.valid_from)}  coupon     {coupon.code:>8}  {coupon.state:<11} {coupon.title}")


@reward.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def parked(limit: int, as_json: bool) -> None:
    """List buyers whose rewards could not be counted, with the reason and when it is tried again. Exit status 1 when
    there is one.

    \b
    Example:  python -m bot reward parked --json
    """
    from domain.rewards import unlocking

    with shop() as runtime, runtime.sessions() as session:
        found = unlocking.parked(session, limit)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(f"person {one.person_id:<8} again {stamp(one.look_at)}  {one.fault}" for one in found)
                   or "nobody")
    if found:
        raise SystemExit(1)


@reward.command()
@click.argument("person_id", metavar="[PERSON]", required=False, type=row_id)
@as_option
def retry(person_id: int | None, as_name: str) -> None:
    """Count parked buyers now instead of in an hour: PERSON alone, or everybody when none is named.

    \b
    Example:  python -m bot reward retry 17 --as lin
    """
    from domain.rewards import unlocking

    with shop() as runtime, runtime.sessions.begin() as session:
        found = unlocking.retry(session, person_id, acting(session, as_name), runtime.clock.now())
    click.echo(f"{len(found)} to be counted at once" if found else "nobody is parked")


@reward.command()
@click.argument("code", metavar="CODE")
@_reason
@as_option
@json_option
def revoke(code: str, reason: str, as_name: str, as_json: bool) -> None:
    """Take the unused coupon CODE back. One that was spent stays: it says for which order. Repeating changes nothing.

    \b
    Example:  python -m bot reward revoke 5kZJGG7Wyj --as wu --reason "issued by mistake"
    """
    from domain.workflows import correcting

    with shop() as runtime, runtime.sessions.begin() as session:
        done = correcting.revoke(session, code, reason, acting(session, as_name), runtime.clock.now())
    _tell(done, as_json)


@reward.command()
@click.argument("code", metavar="CODE")
@_reason
@as_option
@json_option
def again(code: str, reason: str, as_name: str, as_json: bool) -> None:
    """Give a coupon anew instead of CODE, which ran out or was taken back: same terms, for as long. Once for each CODE.

    \b
    Example:  python -m bot reward again 5kZJGG7Wyj --as wu --reason "the parcel was late"
    """
    from domain.workflows import correcting

    with shop() as runtime, runtime.sessions.begin() as session:
        made = correcting.give_again(session, code, reason, acting(session, as_name), runtime.clock.now())
    _tell(made, as_json)


@reward.command()
@_person
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def gifts(person_id: int, limit: int, as_json: bool) -> None:
    """List the red packets of PERSON, by orders or as presents, the newest first, and where their money is.

    waiting (for the end of a return window), wallet, sent (waits for a tap in WeChat), received, returned (taken back
    with an order), calling and taken (operators take it back).

    \b
    Example:  python -m bot reward gifts 17 --json
    """
    from domain.people import queries as people
    from domain.workflows import gifts as given

    with shop() as runtime, runtime.sessions() as session:
        known = people.person(session, person_id)
        if known is None:
            nobody(person_id)
        found = given.of(session, known.id, limit)
    if as_json:
        names = ("id", "title", "fen", "at", "state", "packet_no")
        print_json({"person_id": known.id, "gifts": [{name: getattr(one, name) for name in names} for one in found]})
        return
    for one in found:
        packet = f"  packet {one.packet_no}" if one.packet_no else ""
        click.echo(f"{one.id:>6}  {stamp(one.at)}  {one.state:<8} {yuan(one.fen):>9}  {one.title}{packet}")


@reward.command("take-back")
@click.argument("gift_id", metavar="GIFT", type=row_id)
@click.option("--owe", is_flag=True, help="What they received or spent becomes a debt that later income repays; "
                                          "without it, such a gift is left to them.")
@click.option("--reason", required=True, help="Why; kept in the log, and not shown to the customer.")
@as_option
@json_option
def take_back(gift_id: int, owe: bool, reason: str, as_name: str, as_json: bool) -> None:
    """Ask for the red packet GIFT to be taken back. A second person approves, then the customer is told once.

    One that has not left does not leave any more; one that waits for a tap in WeChat is called back first; whoever
    tapped has it. What a return takes back meanwhile is not taken twice.

    \b
    Example:  python -m bot reward take-back 412 --reason "given twice" --as wu
    """
    from domain.workflows import taking_back

    with shop() as runtime, runtime.sessions.begin() as session:
        asked = taking_back.ask_gift(session, gift_id, owe, reason, acting(session, as_name), runtime.clock.now())
        waits_for_second(asked, as_json)


def _tell(coupon: "CouponView", as_json: bool) -> None:
    if as_json:
        print_json(asdict(coupon))
    else:
        click.echo(f"{coupon.code}  {coupon.state}  person {coupon.person_id}  {coupon.title}  "
                   f"until {stamp(coupon.valid_until)}")
