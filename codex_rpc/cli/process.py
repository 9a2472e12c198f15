"""What this process does to itself: its logging, its memory, and its output when nobody reads."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_DUMPABLE = 4


def start_logging(log_file: str | None) -> None:
    """Log warnings and worse to stderr, or everything from INFO on to `log_file`.

    Raises:
        OSError: the file cannot be opened.
    """
    handler: logging.Handler
    if log_file is None:
        handler, level = logging.StreamHandler(sys.stderr), logging.WARNING
    else:
        handler, level = logging.FileHandler(log_file, encoding="utf-8"), logging.INFO
    logging.basicConfig(
        level=level,
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def keep_memory_private() -> None:
    """Mark this process not dumpable, so that no command can read its environment or memory.

    The API keys are there. Linux only; elsewhere the system's defaults hold.
    """
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        logging.getLogger(__name__).warning("could not mark the process as not dumpable")


@contextmanager
def as_far_as_it_is_read() -> Iterator[None]:
    """Print in here; if whoever reads has seen enough, the rest is left out."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter must not try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
