"""What is found out about the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio import fail_after

from codex_rpc.sandbox import means as means_module
from codex_rpc.sandbox.means import Bubblewrap, Means, find_bubblewrap, probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the probe is Linux's")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where bwrap is looked for."""
    monkeypatch.setattr(means_module, "SYSTEM_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(means_module, "_packages", lambda: ())
    return tmp_path


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


async def test_what_works_is_found_out_once(tmp_path: Path) -> None:
    found: list[Means] = []

    async def look() -> None:
        found.append(await anyio.to_thread.run_sync(probe))

    with fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(look)
    assert all(means is found[0] for means in found)
    assert found[0].best != "none" or found[0].problems


def test_a_program_of_this_name_on_the_path_is_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "bwrap", f"touch {tmp_path}/run")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    assert find_bubblewrap() == "bubblewrap: it is not installed"
    assert not (tmp_path / "run").exists()


def test_a_bwrap_that_works_is_described(folder: Path) -> None:
    program(folder / "bwrap", "echo bubblewrap 1.2.3")
    found = find_bubblewrap()
    assert isinstance(found, Bubblewrap)
    assert (found.path, found.version) == (f"{folder}/bwrap", "1.2.3")
    assert ("CAP_SYS_ADMIN" in found.privileges) is False
    assert bool(found.privileges) == (os.geteuid() == 0)


def test_the_reason_is_kept_why_a_bwrap_does_not_work(folder: Path) -> None:
    program(folder / "bwrap", "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1")
    assert find_bubblewrap() == (
        f"bubblewrap: {folder}/bwrap does not work here (setting up uid map: Permission denied)"
    )
    program(folder / "bwrap", "exit 7")
    assert "exit code 7" in str(find_bubblewrap())


def test_a_bwrap_that_does_not_answer_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(means_module, "PROBE_DEADLINE_S", 0.1)
    program(folder / "bwrap", "exec sleep 1000")
    assert "no answer" in str(find_bubblewrap())


def test_root_of_a_container_falls_back_to_a_user_namespace(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("there is only one way for an ordinary user")
    program(folder / "bwrap", 'case "$*" in *unshare-user*) echo 1 ;; *) exit 1 ;; esac')
    found = find_bubblewrap()
    assert isinstance(found, Bubblewrap)
    assert found.privileges[0] == "--unshare-user"


def test_a_means_that_is_asked_for_is_taken_or_nothing_is() -> None:
    both = Means(best="bubblewrap", landlock_abi=3)
    assert [both.choose(w) for w in ("auto", "bubblewrap", "landlock")] == [
        "bubblewrap",
        "bubblewrap",
        "landlock",
    ]
    one = Means(best="landlock", problems={"bubblewrap": "b"})
    assert (one.choose("bubblewrap"), one.problem("bubblewrap")) == ("none", "b")
    none = Means(best="none", problems={"bubblewrap": "b", "landlock": "l"})
    assert (none.choose("auto"), none.problem("auto")) == ("none", "b; l")
