"""What a started program inherits besides its streams: descriptors to read contents from.

Owns the step from a `Launch` to an argv that can be executed. It does not know what the contents
are for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import IO

from codex_rpc.sandbox.launch import Launch, placeholder


@contextmanager
def inheritable(launch: Launch) -> Iterator[tuple[list[str], list[int]]]:
    """The argv with descriptors for placeholders, and the descriptors that have to be passed on.

    They are closed at the end; the program has its own by then, each at the beginning of its
    contents, which are in memory, or in a file without a name.

    Raises:
        OSError: there are no file descriptors left, or there is no room.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(closing(_file_with(data))) for data in launch.contents]
        numbers = {placeholder(n): str(file.fileno()) for n, file in enumerate(files)}
        argv = [numbers.get(argument, argument) for argument in launch.argv]
        yield argv, [file.fileno() for file in files]


def _file_with(content: bytes) -> IO[bytes]:
    file: IO[bytes]
    if hasattr(os, "memfd_create"):
        file = open(os.memfd_create("codex-rpc"), "w+b", buffering=0)  # noqa: PTH123, SIM115
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        file.seek(0)
    except OSError:
        file.close()
        raise
    return file
