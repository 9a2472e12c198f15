"""`python -m codex_rpc`, and what the installed `codex-rpc` command calls.

Nothing is imported here before the search path is in order: whoever starts the server in a
workspace must not get that workspace's idea of a module.
"""

import gc
import os
import sys
from typing import NoReturn


def start() -> NoReturn:
    """Run the command that the process's arguments name, and exit with its code."""
    leave_out_working_directory()
    # What is loaded stays: looking through it for garbage takes a tenth of the start.
    # `cli.main` goes on with it.
    gc.disable()
    from codex_rpc.cli.main import main

    main()


def leave_out_working_directory() -> None:
    """Import nothing from the working directory, nor from relative folders, from now on.

    `python -m` puts the one in front of everything, an empty or relative element of PYTHONPATH
    adds the others, and commands of the model may write there.
    """
    here = os.getcwd()  # noqa: PTH109 - pathlib would be imported from there
    said = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # Python itself has made them absolute by now.
    relative = [os.path.join(here, folder) for folder in said if not os.path.isabs(folder)]  # noqa: PTH117, PTH118
    unwanted = {os.path.realpath(folder) for folder in (here, *relative)}
    sys.path[:] = [
        folder
        for folder in sys.path
        if os.path.isabs(folder) and os.path.realpath(folder) not in unwanted  # noqa: PTH117
    ]


if __name__ == "__main__":
    start()
