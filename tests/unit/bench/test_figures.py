"""The arithmetic and the judgement of the benchmark; nothing is timed here."""

import socket
import threading

import pytest

from bench import __main__ as bench
from bench import figures, load


def test_a_figure_is_the_median_with_both_ends() -> None:
    assert figures.figure([3.0, 1.0, 2.0]) == {"median": 2.0, "lo": 1.0, "hi": 3.0}


def test_sides_take_turns_and_nobody_always_goes_first() -> None:
    said: list[str] = []

    def side(name: str) -> figures.Round:
        said.append(name)
        return {"value": float(len(said))}

    taken = figures.taking_turns({"ours": lambda: side("ours"), "floor": lambda: side("floor")}, 3)
    assert said == ["ours", "floor", "floor", "ours", "ours", "floor"]
    assert [one["value"] for one in taken["floor"]] == [2.0, 3.0, 6.0]


@pytest.mark.parametrize(("more_is_better", "ratio_peer"), [(True, 0.5), (False, 2.0)])
def test_the_ratio_to_the_peer_says_how_many_times_better_ours_is(more_is_better: bool, ratio_peer: float) -> None:
    taken = {"ours": [{"value": 5.0}], "floor": [{"value": 20.0}], "peer": [{"value": 10.0}]}
    made = figures.row("B1 x", "u", taken, more_is_better=more_is_better)
    assert (made["ratio_floor"]["median"], made["ratio_peer"]["median"]) == (0.25, ratio_peer)


def test_ratios_are_taken_within_a_round() -> None:
    taken = {"ours": [{"value": 1.0}, {"value": 100.0}], "floor": [{"value": 2.0}, {"value": 200.0}]}
    assert figures.row("B1 x", "u", taken, more_is_better=True)["ratio_floor"] == {"median": 0.5, "lo": 0.5, "hi": 0.5}


@pytest.mark.parametrize(("floor", "peer", "words"), [(0.6, 2.0, ["ok", "ok"]), (0.59, 2.0, ["misses", "ok"]),
                                                      (0.7, 1.99, ["ok", "misses"])])
def test_a_line_says_plainly_whether_a_goal_is_met(floor: float, peer: float, words: list[str]) -> None:
    row = {"row": "B1 chat answer", "ratio_floor": figures.figure([floor]), "ratio_peer": figures.figure([peer])}
    said = bench.line(row)
    assert [part for part in said.replace(":", " ").split() if part in ("ok", "misses")] == words


def test_what_nothing_can_measure_is_said_and_has_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench.PLAN, "B99", bench.Plan("", "tea", ()))
    rows = bench.measure(["B99"], 5, None)
    assert rows == [{"row": "B99 tea", "not_measured": "nothing measures it yet"}]
    assert "not measured" in bench.line(rows[0])


def test_every_row_that_has_a_module_can_be_run() -> None:
    from importlib.util import find_spec

    assert all(find_spec(plan.module) for plan in bench.PLAN.values() if plan.module)


@pytest.mark.parametrize(("body", "wrong"), [(b"success", 0), (b"error", 1)])
def test_the_load_counts_answers_and_notices_wrong_ones(body: bytes, wrong: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        def serve() -> None:
            line, _ = door.accept()
            with line:
                while line.recv(65536):
                    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        server = threading.Thread(target=serve)
        server.start()
        job = {"port": door.getsockname()[1], "connections": 1, "seconds": 30.0, "repeat": False, "starts": "success"}
        told = load.run(job, [b"POST / HTTP/1.1\r\n\r\n"] * 5)
        server.join()
    assert (told["answers"], len(told["wrong"]), told["ran_out"]) == (5, wrong, True)
