"""The benchmarks, in the order in which they are run and shown."""

from __future__ import annotations

from . import crowd, day, deltas, idle, latency, listing, lsp, paused, resume, slow, start
from .base import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        start.REUSED,
        start.FRESH,
        lsp.BENCHMARK,
        latency.BENCHMARK,
        deltas.BENCHMARK,
        idle.BENCHMARK,
        resume.ITEMS,
        resume.LARGE,
        listing.MANY,
        listing.VERY_MANY,
        crowd.TOGETHER,
        crowd.PACED,
        slow.BENCHMARK,
        paused.BENCHMARK,
        day.BENCHMARK,
    )
}
