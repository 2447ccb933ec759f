"""A rehearsal's report as a page of its own (no script, nothing to load) or as Markdown."""

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bot.runtime.bootstrap import ASSETS
from bot.runtime.replay.figures import Report
from bot.runtime.replay.phones import CARDS
from domain.shared.clock import SHANGHAI
from domain.shared.money import yuan

FORMS = (".html", ".md")


def write(report: Report, path: Path) -> None:
    """Write the report in the form that the name's ending says. Raises ValueError for another ending."""
    if path.suffix not in FORMS:
        raise ValueError(f"{path.name}: the report is written as {' or '.join(FORMS)}")
    path.write_text(render(report, path.suffix), "utf-8")


def render(report: Report, form: str) -> str:
    found = Environment(loader=FileSystemLoader(ASSETS / "templates" / "rehearsal"), autoescape=form == ".html",  # noqa: S701 - Markdown
                        undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    found.filters |= {"yuan": lambda fen: yuan(int(fen)), "number": lambda n: f"{n:,}", "counts": counts,
                      "day": _day, "moment": _moment, "words": lambda name: name.replace("_", " ")}
    return found.get_template(f"report{form}").render(
        r=report, cards=cards(report), orders=sum(m["orders"] for m in report.months),
        pushed=sum(m["pushed"] for m in report.months))


def cards(report: Report) -> list[tuple[str, str]]:
    """The figures that somebody in a hurry wants."""
    sums = {name: sum(month[name] for month in report.months) for name in ("pushed", "marketing", "refused", "reply")}
    paid = sum(month["paid_fen"] for month in report.months)
    packets = sum(w["amount"] for w in report.rewards if w["what"] == "red_packet")
    return [
        ("messages pushed", f"{sums['pushed']:,}"), ("of them marketing", f"{sums['marketing']:,}"),
        ("of them cards, without a window", f"{sum(report.phones.get(one, 0) for one in CARDS):,}"),
        ("refused, each with a reason", f"{sums['refused']:,}"), ("answers in chat", f"{sums['reply']:,}"),
        ("turnover", yuan(paid)), ("coupons given", f"{sum(c['given'] for c in report.coupons):,}"),
        ("paid less by coupons", yuan(report.acts.get("coupon.off_fen", 0))),
        ("red packets that are final", yuan(packets)), ("promises broken", str(len(report.findings))),
        ("lost or doubled", str(sum(report.left.values()))),
    ]


def counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name or 'none'} {value:,}" for name, value in counted.items()) or "–"


def _day(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def summary(report: Report) -> list[str]:
    """For a terminal: what matters, in a dozen lines."""
    lines: list[str] = [f"{name:<28} {value:>14}" for name, value in cards(report)]
    lines += [f"refused: {counts(report.refusals)}", f"put off: {counts(report.waits)}",
              f"platform: {counts(report.platform)}"]
    lines += [f"  {one['key']:<16} entered {one['entered']:>5}  sent {one['sent']:>5}"
              f"  refused: {counts(one['refused'])}" for one in report.journeys]
    arms = ", ".join(f"{arm['name']} {arm['mean']:.3f} of {arm['counted']}" for arm in report.experiment["arms"])
    lines.append(f"experiment {report.experiment['key']}: {report.experiment['verdict']} ({arms})")
    lines += [f"BROKEN {one.rule}: {_moment(one.at)} {one.openid} {one.key}" for one in report.findings[:50]]
    lines += [f"LEFT OVER {name}: {value}" for name, value in report.left.items() if value]
    lines += [f"BOOKS {fault}" for fault in report.ledger_faults]
    return [*lines, "clean: nothing broken, lost or doubled; the books are right" if report.clean else "NOT CLEAN"]

