"""What each means enforces of a policy, and what it does not.

Owns the translation of a policy in a folder, with the denied files that were found, into what a
means is told, and the words for what is left open. It probes nothing and looks for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from attrs import evolve

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import SandboxMeans, SandboxPolicy
from codex_rpc.sandbox import bubblewrap, seatbelt
from codex_rpc.sandbox.denied import Expansion
from codex_rpc.sandbox.evidence import Boundaries
from codex_rpc.sandbox.launch import LandlockRules, Launch
from codex_rpc.sandbox.means import PRIVATE_TEMPORARY, Bubblewrap
from codex_rpc.sandbox.roots import Roots, is_inside, outermost
from codex_rpc.sandbox.temporary import Scratch, needs_own_devices, own_devices, standing_in

MAX_SIBLINGS = 5_000
"""How many files and folders are named to Landlock one by one."""

MAX_NAMED = 3
"""How many paths a gap names; the rest is counted."""

Start = Callable[[Sequence[str], Mapping[str, str]], AbstractContextManager[Launch]]


@frozen(kw_only=True)
class Enforcement:
    """How commands are started so that a policy holds, and how much of it does."""

    start: Start
    boundaries: Boundaries
    gaps: tuple[str, ...]


@frozen(kw_only=True)
class Plan:
    """A policy in a folder, about to be enforced."""

    policy: SandboxPolicy
    cwd: str
    roots: Roots
    denied: Expansion
    scratch: Scratch
    has_filter: bool
    """Whether system calls can be refused on this machine."""

    def by_bubblewrap(self, program: Bubblewrap) -> Enforcement:
        """All of it is enforced, but for odd cases. Makes the scratch folder, if one is needed."""
        scratch = self._scratch_folder()
        writable = outermost((*self.roots.writable, *([scratch] if scratch else [])))
        protected = outermost(self.roots.protected)
        masked = [denied.path for denied in self.denied.found]
        pinned = {folder for path in protected for folder in self._between(path)}
        if scratch and is_inside(scratch, self.roots.writable):
            # We remove it in the end, and it is not to lead elsewhere by then.
            pinned |= {scratch, *self._between(scratch)}
        for denied in self.denied.found:
            pinned |= set(self._between(denied.path)) & set(denied.held_by)
        gaps = [*self._general_gaps(), *self._gaps_of_mounts(protected, masked, pinned)]
        devices = own_devices() if needs_own_devices() else None
        if needs_own_devices() and devices is None:
            gaps.append("the modes of `/dev/null` and other device files can be changed")
        view = bubblewrap.View(
            writable=writable,
            pinned=tuple(sorted(pinned)[: bubblewrap.MAX_MASKS]),
            protected=protected,
            denied=tuple(masked[: bubblewrap.MAX_MASKS]),
            visible=self._hidden_cwd(writable),
            devices=devices,
            network=self.policy.has_network,
            program=self._filter(),
        )
        temporary = scratch or PRIVATE_TEMPORARY

        @contextmanager
        def start(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Launch]:
            with ExitStack() as stack:
                for path in protected:
                    try:
                        stack.enter_context(standing_in(path))
                    except OSError as exc:
                        reason = f"`{path}` cannot be protected: {exc.strerror}"
                        raise SandboxUnavailable(reason) from exc
                yield bubblewrap.launch(argv, _with_temporary(env, temporary), view, program)

        return self._enforcement("bubblewrap", start, scratch, gaps)

    def by_landlock(self) -> Enforcement:
        """All of it where nothing may be written; else no exceptions inside what may."""
        # Not on the start path: it is first needed where bubblewrap does not work.
        from codex_rpc.sandbox import landlock

        gaps = list(self._general_gaps())
        scratch = self._scratch_folder()
        writable = outermost((*self.roots.writable, *([scratch] if scratch else [])))
        if self.roots.writable:
            gaps.append(
                f"everything in {_named(self.roots.writable)} can be changed, `.git` and `.codex`"
                " included, because Landlock knows no exceptions"
            )
        if self.policy.mode != "read-only":
            gaps.append("the modes, owners and times of all of the user's files can be changed")
        found = [denied.path for denied in self.denied.found]
        open_ = [path for path in found if is_inside(path, writable)]
        if open_:
            gaps.append(f"{_named(open_)}, which sandbox_deny_read denies, can be read")
        shut = [path for path in found if path not in open_]
        readable = everything_but(shut)
        if readable is None:
            gaps.append(f"{_named(shut)}, which sandbox_deny_read denies, can be read")
        rules = LandlockRules(
            readable=("/",) if readable is None else readable,
            writable=writable,
            network=self.policy.has_network,
            change_metadata=self.policy.mode != "read-only",
        )

        def start(argv: Sequence[str], env: Mapping[str, str]) -> AbstractContextManager[Launch]:
            env = _with_temporary(env, scratch) if scratch else env
            return nullcontext(landlock.launch(argv, env, rules))

        return self._enforcement("landlock", start, scratch, gaps)

    def by_seatbelt(self) -> Enforcement:
        """All of it."""
        scratch = self._scratch_folder()
        writable = (*self.roots.writable, *([scratch] if scratch else []))
        denied = tuple(denied.path for denied in self.denied.found)

        def start(argv: Sequence[str], env: Mapping[str, str]) -> AbstractContextManager[Launch]:
            launch = seatbelt.launch(
                argv,
                _with_temporary(env, scratch) if scratch else env,
                writable=writable,
                protected=self.roots.protected,
                denied=denied,
                network=self.policy.has_network,
            )
            return nullcontext(launch)

        return self._enforcement("seatbelt", start, scratch, self._general_gaps())

    def _enforcement(
        self, means: SandboxMeans, start: Start, scratch: str | None, gaps: Iterable[str]
    ) -> Enforcement:
        own = (scratch,) if scratch else ()
        boundaries = Boundaries(
            means=means,
            roots=evolve(self.roots, writable=(*self.roots.writable, *own)),
            denied=tuple(denied.path for denied in self.denied.found),
            network=self.policy.has_network,
            is_filtered=self.has_filter,
        )
        return Enforcement(start=start, boundaries=boundaries, gaps=tuple(gaps))

    def _scratch_folder(self) -> str | None:
        return None if self.policy.mode == "read-only" else self.scratch.folder()

    def _filter(self) -> bytes:
        from codex_rpc.sandbox import seccomp

        if not self.has_filter:
            return b""
        return seccomp.filter_program(network=self.policy.has_network, change_metadata=True)

    def _between(self, path: str) -> list[str]:
        """The folders on the way to `path` that could be moved aside together with it."""
        return [
            folder
            for folder in self.roots.between(path)
            if not is_inside(folder, self.roots.protected) and Path(folder).is_dir()
        ]

    def _hidden_cwd(self, writable: Sequence[str]) -> tuple[str, ...]:
        cwd = os.path.realpath(self.cwd)
        hidden = is_inside(cwd, [PRIVATE_TEMPORARY]) and not is_inside(cwd, writable)
        return (cwd,) if hidden else ()

    def _general_gaps(self) -> Iterator[str]:
        for root in self.roots.unusable:
            yield f"`{root}` cannot be made writable"
        for root in self.roots.moved:
            yield (
                f"`{root}` leads elsewhere than when the session was given it, and is not writable"
            )
        for root in self.roots.importable:
            yield (
                f"`{root}` can be changed, and is where PYTHONPATH has codex-rpc look for modules"
            )
        if not self.denied.is_complete:
            yield (
                "sandbox_deny_read covers more files than can be looked through, so that denied"
                " ones can be read"
            )

    def _gaps_of_mounts(
        self, protected: Iterable[str], masked: Sequence[str], pinned: Iterable[str]
    ) -> Iterator[str]:
        if not self.has_filter:
            yield "system calls cannot be filtered on this machine, so sockets can be reached"
        for path in protected:
            if Path(path).is_symlink():
                yield f"`{path}` is a link, which can be replaced"
            elif not Path(path).parent.is_dir():
                yield f"`{path}` does not exist and cannot be protected"
        if len(masked) > bubblewrap.MAX_MASKS:
            rest = masked[bubblewrap.MAX_MASKS :]
            yield f"{_named(rest)}, which sandbox_deny_read denies, can be read"
        if len(list(pinned)) > bubblewrap.MAX_MASKS:
            yield "folders around denied files can be renamed, after which they can be read"


def everything_but(shut: Iterable[str]) -> tuple[str, ...] | None:
    """The files and trees that together are all except `shut`; None: they are too many.

    Links are left out; what they lead to is among the rest.
    """
    shut = set(shut)
    on_the_way = {str(parent) for path in shut for parent in Path(path).parents}
    rest: list[str] = []
    ahead = ["/"]
    if not shut:
        return ("/",)
    while ahead:
        folder = ahead.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.path in on_the_way and entry.path not in shut:
                        ahead.append(entry.path)
                    elif entry.path not in shut and not entry.is_symlink():
                        rest.append(entry.path)
        except OSError:
            # What we may not look into, the command may not either.
            continue
        if len(rest) > MAX_SIBLINGS:
            return None
    return tuple(sorted(rest))


def _with_temporary(env: Mapping[str, str], folder: str) -> dict[str, str]:
    return {**env, "TMPDIR": folder, "TMP": folder, "TEMP": folder}


def _named(paths: Sequence[str]) -> str:
    names = ", ".join(f"`{path}`" for path in paths[:MAX_NAMED])
    return names + (f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else "")
