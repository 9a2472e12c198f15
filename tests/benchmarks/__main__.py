"""Figures of the real process: start, streaming, listing, resume. Prints, never judges.

    python -m tests.benchmarks            all of them, in full
    python -m tests.benchmarks --short    fewer runs and smaller sizes, for CI
    python -m tests.benchmarks start lsp deltas list resume large

Wall times are medians; CPU is user plus system time of the server process; memory is its peak
resident size (VmHWM). The machine may be busy with other things: compare within one run. In full
it needs about 1.3 GiB in the temporary folder, one benchmark after the other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.lsp import bench_lsp
from tests.benchmarks.sessions import bench_large, bench_list, bench_resume
from tests.benchmarks.turns import bench_deltas, bench_start

BENCHMARKS: dict[str, Callable[..., None]] = {
    "start": bench_start,
    "lsp": bench_lsp,
    "deltas": bench_deltas,
    "list": bench_list,
    "resume": bench_resume,
    "large": bench_large,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or BENCHMARKS:
            BENCHMARKS[name](Path(folder), short=arguments.short)


if __name__ == "__main__":
    main()
