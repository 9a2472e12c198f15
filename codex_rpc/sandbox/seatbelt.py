"""Confinement by macOS's `sandbox-exec`: a policy as a profile.

Owns the profile's text. It has been tested as text only: what a Mac makes of it is not known
to our tests, which run on Linux.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from codex_rpc.sandbox.launch import Launch
from codex_rpc.sandbox.means import SANDBOX_EXEC

_BASE = """\
(version 1)
(deny default)
(allow process-exec process-fork)
(allow signal process-info* (target same-sandbox))
(allow sysctl-read)
(allow file-read*)
(allow file-write-data file-ioctl (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))
(allow ipc-posix-sem)
(allow iokit-open (iokit-registry-entry-class "RootDomainUserClient"))
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.opendirectoryd.membership")
  (global-name "com.apple.system.logger")
  (global-name "com.apple.PowerManagement.control"))
"""
"""What every program needs, and nothing that lets it change something."""

_NETWORK = """\
(allow network*)
(allow system-socket)
(allow mach-lookup
  (global-name "com.apple.SystemConfiguration.configd")
  (global-name "com.apple.SystemConfiguration.DNSConfiguration")
  (global-name "com.apple.SecurityServer")
  (global-name "com.apple.trustd.agent"))
"""


def launch(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    writable: Sequence[str],
    protected: Sequence[str],
    denied: Sequence[str],
    network: bool,
) -> Launch:
    """`argv`, able to change only `writable` except `protected`, and to read all but `denied`.

    Paths are resolved; none has to exist.
    """
    lists = {"WRITABLE": writable, "PROTECTED": protected, "DENIED": denied}
    # Paths are passed by name, so that none of them can be read as part of the profile.
    names = {f"{kind}_{n}": path for kind, paths in lists.items() for n, path in enumerate(paths)}
    return Launch(
        argv=(
            SANDBOX_EXEC,
            "-p",
            _profile(list(names), network=network),
            *(f"-D{name}={path}" for name, path in names.items()),
            "--",
            *argv,
        ),
        env=env,
    )


def _profile(names: Sequence[str], *, network: bool) -> str:
    """Of the rules that fit, the last one counts."""

    def rule(action: str, kind: str) -> Iterator[str]:
        below = "".join(f' (subpath (param "{name}"))' for name in names if name.startswith(kind))
        if below:
            yield f"({action}{below})\n"

    return "".join(
        (
            _BASE,
            _NETWORK if network else "",
            *rule("allow file-write*", "WRITABLE"),
            *rule("deny file-write*", "PROTECTED"),
            *rule("deny file-read* file-write*", "DENIED"),
        )
    )
