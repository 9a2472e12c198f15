"""`codex-rpc sandbox`: a command under the policy, at this terminal, for people to try it.

Owns the options, and the process with our own stdin, stdout and stderr. How a command is held is
the sandbox's affair; what of the policy is not enforced is said here, and then nothing is run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import anyio
from attrs import evolve

from codex_rpc.cli.composition import compose
from codex_rpc.cli.process import keep_memory_private, start_logging
from codex_rpc.config.settings import Config
from codex_rpc.protocol.errors import CodexError
from codex_rpc.protocol.params import SessionOverrides
from codex_rpc.protocol.policy import SANDBOX_MODES
from codex_rpc.sandbox.confinement import Confinement, Sandbox
from codex_rpc.sandbox.environment import child_environment
from codex_rpc.sandbox.inheritance import inheritable

EXIT_USAGE = 2
EXIT_NOT_RUN = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 128 + signal.SIGINT

EPILOG = """\
The policy is that of config.toml, unless options say something else. What of it is not enforced
on this machine is said, and then nothing is run.

exit code: the command's own (128 + n if signal n ended it); 126 it was not run, 127 there is no
  such program, 2 the command line is wrong.

examples:
  codex-rpc sandbox -- touch here
  codex-rpc sandbox --mode workspace-write -- bash
  codex-rpc sandbox --mode workspace-write --network -C ~/project -- npm install
"""


class UsageError(Exception):
    """Raised when what was said on the command line cannot be done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The policy, and the command."""
    add = parser.add_argument
    add(
        *("-s", "--mode"),
        metavar="MODE",
        choices=SANDBOX_MODES,
        help=f"what it may do: {', '.join(SANDBOX_MODES)}",
    )
    add("--network", action="store_true", help="workspace-write: with network")
    add(
        "--writable",
        metavar="DIR",
        action="append",
        default=[],
        help="workspace-write: one more folder that it may write",
    )
    add("-C", "--cd", metavar="DIR", help="the working directory (default: the current one)")
    add("-p", "--profile", metavar="NAME", help="a profile of config.toml")
    add(
        "--means",
        metavar="MEANS",
        choices=("bubblewrap", "landlock"),
        help="what is to hold it: bubblewrap or landlock (default: the best that works)",
    )
    add("--allow-gaps", action="store_true", help="run it with what can be enforced")
    add("command", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="the command")
    parser.usage = "codex-rpc sandbox [options] -- CMD ..."
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    try:
        # Without this a command that may read everything could read our environment, keys and all.
        keep_memory_private()
        start_logging(arguments.log_file)
        argv = arguments.command[arguments.command[:1] == ["--"] :]
        if not argv:
            raise UsageError("what is to be run? As in: codex-rpc sandbox -- ls")
        config = _config(arguments)
    except (UsageError, CodexError, OSError) as exc:
        _complain(str(exc))
        return EXIT_USAGE
    sandbox = Sandbox(config, environ=os.environ)
    try:
        confinement = anyio.run(sandbox.confine, config.sandbox_policy, config.cwd)
        if not _is_agreed(confinement, allow_gaps=arguments.allow_gaps):
            return EXIT_NOT_RUN
        env = child_environment(os.environ, config.shell_environment)
        return _exit_code(confinement, argv, env, config.cwd)
    except (CodexError, OSError, ValueError) as exc:
        _complain(f"not run: {exc}")
        return EXIT_NOT_RUN
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        anyio.run(sandbox.aclose)


def _config(arguments: argparse.Namespace) -> Config:
    """The configuration with the policy that was asked for.

    Raises:
        UsageError, ConfigError: it cannot be had.
    """
    here = Path.cwd()
    cwd = _directory("-C", here / arguments.cd) if arguments.cd is not None else here
    said = {"sandbox_mode": arguments.mode, "sandbox_means": arguments.means}
    overrides = SessionOverrides(
        profile=arguments.profile,
        config={key: value for key, value in said.items() if value is not None},
    )
    config = compose(arguments.overrides).configure(cwd=cwd, overrides=overrides)
    policy = config.sandbox_policy
    if not (arguments.network or arguments.writable):
        return config
    if policy.mode != "workspace-write":
        raise UsageError("--network and --writable need --mode workspace-write")
    roots = [str(_directory("--writable", here / root)) for root in arguments.writable]
    policy = evolve(
        policy,
        writable_roots=(*policy.writable_roots, *roots),
        network_access=policy.network_access or arguments.network,
    )
    return evolve(config, sandbox_policy=policy)


def _directory(option: str, path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(f"{option}: {path} is no directory")
    return path.resolve()


def _is_agreed(confinement: Confinement, *, allow_gaps: bool) -> bool:
    """Whether the command is to run with what is enforced; says what is not."""
    for gap in confinement.gaps:
        _complain(f"not enforced: {gap}")
    if confinement.gaps and not allow_gaps:
        _complain("so nothing was run; --allow-gaps runs it with what is enforced")
        return False
    return True


def _exit_code(
    confinement: Confinement, argv: Sequence[str], env: Mapping[str, str], cwd: Path
) -> int:
    """Run `argv` to its end.

    Raises:
        SandboxUnavailable, OSError, ValueError: it could not be started.
    """
    if not _exists(argv[0], env, cwd):
        _complain(f"there is no program {argv[0]!r}")
        return EXIT_NOT_FOUND
    with confinement.launched(argv, env) as launch, inheritable(launch) as (args, inherited):
        process = subprocess.Popen(args, env=launch.env, cwd=cwd, pass_fds=inherited)
        with _signals_passed_on(process):
            code = process.wait()
    return code if code >= 0 else 128 - code


def _exists(program: str, env: Mapping[str, str], cwd: Path) -> bool:
    # Asked because what holds the command would say it in words of its own.
    if Path(program).name != program:
        return (cwd / program).exists()
    return shutil.which(program, path=env.get("PATH", os.defpath)) is not None


@contextmanager
def _signals_passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """What is to end us ends the command instead, and then we end with it."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _complain(text: str) -> None:
    print(f"codex-rpc: {text}", file=sys.stderr, flush=True)
