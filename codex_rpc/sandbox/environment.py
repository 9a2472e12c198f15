"""The environment that commands are given.

Owns which of the server's variables reach a child. It does not read the process's
environment itself: the mapping is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping

from codex_rpc.config.settings import ShellEnvironment, matches

CORE = frozenset(
    {
        "HOME",
        "LOGNAME",
        "PATH",
        "SHELL",
        "USER",
        "USERNAME",
        "TMPDIR",
        "TEMP",
        "TMP",
        # Windows programs do not start without these.
        "COMSPEC",
        "PATHEXT",
        "SYSTEMROOT",
    }
)
"""What `inherit = "core"` keeps."""


def child_environment(environ: Mapping[str, str], policy: ShellEnvironment) -> dict[str, str]:
    """What a command sees of `environ`, the server's own environment.

    The steps, in order: `inherit`, the default excludes, `exclude`, `set`, `include_only`,
    `always_exclude`. Names are matched without regard to case. The last step wins over all
    others, `set` included, because a provider's key is never given to a command.
    """
    match policy.inherit:
        case "all":
            kept = dict(environ)
        case "core":
            kept = {name: value for name, value in environ.items() if name.upper() in CORE}
        case "none":
            kept = {}
    kept = {name: value for name, value in kept.items() if not policy.hides(name)}
    kept.update(policy.set)
    if policy.include_only:
        kept = {name: value for name, value in kept.items() if matches(name, policy.include_only)}
    never = {name.upper() for name in policy.always_exclude}
    return {name: value for name, value in kept.items() if name.upper() not in never}
