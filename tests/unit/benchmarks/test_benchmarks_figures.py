"""The arithmetic behind the tables: medians, ratios, marks, and how they are shown."""

from __future__ import annotations

import io

import pytest
from benchmarks import report
from benchmarks.child import ProgramFailed
from benchmarks.drivers import NativeDriver, Unable
from benchmarks.figures import Mark, Measure, Results
from benchmarks.programs import Program
from benchmarks.rows.base import Benchmark
from benchmarks.rows.crowd import fairness
from benchmarks.runner import run
from benchmarks.stage import Stage
from rich.console import Console

TIME = Measure("time", "s", Mark(at_most=0.5, ahead=2))
RATE = Measure("rate", "/s", Mark(at_least=1000, ahead=1), more_is_better=True)
SIZE = Measure("size", "MiB")


def results(**samples: dict[str, list[float]]) -> Results:
    return Results("work", "Some work", (TIME, RATE, SIZE), ["ours"], dict(samples))


def test_the_median_of_the_runs_counts() -> None:
    found = results(ours={"time": [9.0, 0.1, 0.2]})
    assert found.median("ours", "time") == 0.2
    assert found.median("ours", "rate") is None
    assert found.median("nobody", "time") is None


def test_the_best_of_the_others_is_the_fastest_and_never_one_of_ours() -> None:
    found = results(
        ours={"time": [0.1], "rate": [9000]},
        a={"time": [2.0], "rate": [500]},
        b={"time": [1.0], "rate": [100]},
    )
    assert found.best_other(TIME) == ("b", 1.0)
    assert found.best_other(RATE) == ("a", 500)
    assert results(ours={"time": [1.0]}).best_other(TIME) is None


@pytest.mark.parametrize(
    ("ours", "other", "reached"),
    [
        (0.4, 0.8, True),
        (0.4, 0.7, False),
        (0.6, 9.0, False),
        (0.4, None, None),
        (0.6, None, False),
    ],
)
def test_a_mark_is_reached_when_all_of_it_is(
    ours: float, other: float | None, reached: bool | None
) -> None:
    found = results(ours={"time": [ours]}, **({} if other is None else {"b": {"time": [other]}}))
    (verdict,) = found.verdicts()
    assert verdict.reached is reached


def test_who_needs_nothing_is_ahead_of_all_but_those_who_need_nothing() -> None:
    assert SIZE.times_better(0, 3) == float("inf")
    assert SIZE.times_better(0, 0) == 1


def test_more_is_better_where_the_measure_says_so() -> None:
    (verdict,) = results(ours={"rate": [3000]}, b={"rate": [1500]}).verdicts()
    assert (verdict.ratio, verdict.reached) == (2, True)
    (verdict,) = results(ours={"rate": [900]}, b={"rate": [100]}).verdicts()
    assert verdict.reached is False


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00123456, "0.00123"), (0.5, "0.500"), (12.34, "12.3"), (105969.3, "105,969")],
)
def test_a_figure_has_three_digits_that_count(value: float, text: str) -> None:
    assert report.shown(value) == text


def test_tables_show_figures_ratios_and_verdicts() -> None:
    found = results(ours={"time": [0.4, 0.6, 0.5], "size": [7]}, b={"time": [1.0, 1.0, 0.8]})
    found.skipped["c"] = "has no time"
    terminal = io.StringIO()
    report.print_results(found, ["ours", "b", "c"], Console(file=terminal, width=120))
    for said in ("time, s", "0.500", "1.00", "2.00x", "<= 0.500 s, 2x ahead", "yes", "has no time"):
        assert said in terminal.getvalue()
    text = report.markdown([found], ["ours", "b", "c"], {"processor": "one"}, "curves.png")
    assert "![Seconds against size](curves.png)" in text
    row = "| time, s | 0.500 (0.400-0.600; 3) | 1.00 (0.800-1.00; 3) | 2.00x | "
    assert row + "<= 0.500 s, 2x ahead | yes |" in text
    assert "1 of 1 marks are reached." in text


def test_what_is_missed_is_said_with_what_it_was_compared_to() -> None:
    found = results(ours={"time": [0.4]}, b={"time": [0.5]})
    assert report.summary([found]) == [
        "0 of 1 marks are reached.",
        "Missed: work, time, ours: 0.400 s (b: 0.500); the mark is <= 0.500 s, 2x ahead.",
    ]


def test_programs_take_turns_and_one_that_cannot_is_left_out(tmp_path) -> None:
    order = []

    def sample(_: Stage, program: Program) -> dict[str, float]:
        order.append(program.name)
        if program.name == "b":
            raise Unable("cannot")
        if program.name == "c" and order.count("c") == 2:
            raise ProgramFailed("died")
        return {"time": 1.0}

    programs = [Program(name, NativeDriver, [], ours=name == "a") for name in "abc"]
    missing = Program("d", NativeDriver, [], missing="is not here")
    benchmark = Benchmark("work", "Some work", (TIME,), sample, runs=3)
    found = run(benchmark, Stage(tmp_path, 0, short=False), [*programs, missing])
    assert order == ["a", "b", "c", "c", "a", "a"]
    assert found.skipped == {"b": "cannot", "c": "FAILED: died", "d": "is not here"}
    assert found.samples == {"a": {"time": [1.0] * 3}, "c": {"time": [1.0]}}


def test_one_that_takes_too_long_gets_no_further_run(tmp_path) -> None:
    benchmark = Benchmark("work", "", (TIME,), lambda *_: {"time": 1}, runs=3, budget_s=0)
    program = Program("a", NativeDriver, [])
    found = run(benchmark, Stage(tmp_path, 0, short=False), [program])
    assert found.samples == {"a": {"time": [1]}}


class Said(NativeDriver):
    """A driver of which nothing but the reading of lines is used."""

    def __init__(self) -> None:
        pass


def spoken(session: str, text: str, at: int) -> tuple[int, bytes]:
    body = '{"params":{"sessionId":"%s","msg":{"type":"agent_message_delta","delta":"%s"}}}'
    return at, (body % (session, text)).encode()


def ended(at: int) -> tuple[int, bytes]:
    return at, b'{"type":"task_complete"}'


def test_shares_are_even_when_all_speak_by_turns() -> None:
    lines = [spoken(session, "x" * 10, n) for n in range(10) for session in "ab"]
    found = fairness(Said(), [*lines, ended(9), ended(10)], 0)
    assert found["least share"] == 1
    assert found["spread"] == pytest.approx(0.1)


def test_one_that_comes_last_has_no_share() -> None:
    lines = [spoken("a", "x" * 10, 1), spoken("b", "x" * 10, 2_000_000_000)]
    found = fairness(Said(), [*lines, ended(1), ended(2_000_000_000)], 0)
    assert found["least share"] == 0
    assert found["longest silence"] == 2
