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

MAX_PIPED_BYTES = 32 << 10


@contextmanager
def inheritable(launch: Launch) -> Iterator[tuple[list[str], list[int]]]:
    """The argv with descriptors for placeholders, and the descriptors that have to be passed on.

    They are closed at the end; the program has its own by then. The contents are in a pipe, in
    memory, or in a file without a name.

    Raises:
        OSError: there are no file descriptors left, or there is no room.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(closing(_source_of(data))) for data in launch.contents]
        numbers = {placeholder(n): str(file.fileno()) for n, file in enumerate(files)}
        argv = [numbers.get(argument, argument) for argument in launch.argv]
        yield argv, [file.fileno() for file in files]


def _source_of(content: bytes) -> IO[bytes]:
    """Where `content` can be read, once.

    A pipe where it fits into one: files, also those in memory, have a limit for their size that
    the user may have set.
    """
    if len(content) <= MAX_PIPED_BYTES:
        reading, writing = os.pipe()
        try:
            os.set_blocking(writing, False)
            if os.write(writing, content or b"") == len(content):
                return open(reading, "rb", buffering=0)  # noqa: PTH123
        except BlockingIOError:
            pass  # Pipes can be small where a user has many.
        finally:
            os.close(writing)
        os.close(reading)
    return _file_with(content)


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
