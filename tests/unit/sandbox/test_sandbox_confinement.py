"""Which means enforces how much of a policy, and what is said about the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from confinement_support import Place, place

from codex_rpc.protocol.policy import SandboxMode, SandboxPolicy
from codex_rpc.sandbox.means import probe
from codex_rpc.sandbox.plan import everything_but

needs_landlock = pytest.mark.skipif(
    probe().landlock_abi == 0, reason=probe().problems.get("landlock", "")
)
needs_bubblewrap = pytest.mark.skipif(
    probe().bubblewrap is None, reason=probe().problems.get("bubblewrap", "")
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path, deny_read=("**/.env", "~/x")) as made:
        yield made


@pytest.fixture
async def by_landlock(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path, deny_read=("**/.env",), sandbox_means="landlock") as made:
        yield made


async def test_full_access_is_held_by_nothing_and_leaves_nothing_open(here: Place) -> None:
    confinement = await here.confine("danger-full-access")
    assert confinement == here.sandbox.unconfined()
    assert await here.sandbox.means(SandboxPolicy("danger-full-access")) == "none"
    assert (confinement.mode, confinement.means) == ("danger-full-access", "none")
    assert (confinement.network, confinement.gaps) == (True, ())
    done = await here.run(confinement, f"touch {here.outside}/x; exit 3")
    assert done.code == 3
    assert os.listdir(here.outside) == ["x"]
    assert confinement.denial("touch: cannot touch '/etc/x': Read-only file system", Path("/")) is (
        None
    )


@needs_bubblewrap
@pytest.mark.parametrize("mode", ["read-only", "workspace-write"])
async def test_bubblewrap_is_taken_where_it_works_and_leaves_no_gap(
    here: Place, mode: SandboxMode
) -> None:
    (here.workspace / ".env").write_text("secret")
    confinement = await here.confine(mode)
    assert (confinement.means, confinement.gaps) == ("bubblewrap", ())
    assert confinement.mode == mode
    assert await here.sandbox.means(SandboxPolicy(mode)) == "bubblewrap"


@needs_bubblewrap
async def test_a_git_folder_that_is_a_link_is_a_gap(here: Place) -> None:
    (here.workspace / "data").mkdir()
    (here.workspace / ".git").symlink_to("data")
    (gap,) = (await here.confine()).gaps
    assert "link" in gap
    assert (await here.confine("read-only")).gaps == ()


@needs_landlock
async def test_landlock_enforces_all_of_read_only(by_landlock: Place) -> None:
    for folder in (by_landlock.workspace, by_landlock.outside):
        (folder / ".env").write_text("secret")
        (folder / "file").write_text("text")
    (by_landlock.home / "auth.json").write_text("secret")
    confinement = await by_landlock.confine("read-only")
    assert (confinement.means, confinement.gaps) == ("landlock", ())
    done = await by_landlock.run(
        confinement,
        "cat file ../outside/file ../outside/.env; cat .env ../home/auth.json;"
        "touch new file ../outside/new; chmod 600 file; touch -d 2020-01-01 file",
    )
    assert done.stdout == "texttextsecret"
    assert done.stderr.count("Permission denied") >= 5
    assert done.stderr.count("Operation not permitted") >= 1
    assert os.listdir(by_landlock.workspace) == [".env", "file"] or (
        sorted(os.listdir(by_landlock.workspace)) == [".env", "file"]
    )


@needs_landlock
async def test_landlock_says_what_it_leaves_open_where_something_may_be_written(
    by_landlock: Place,
) -> None:
    (by_landlock.workspace / ".env").write_text("secret")
    (by_landlock.home / "auth.json").write_text("secret")
    confinement = await by_landlock.confine()
    roots, metadata, denied = confinement.gaps
    assert str(by_landlock.workspace) in roots
    assert "modes" in metadata
    assert ".env" in denied
    assert "auth.json" not in denied
    done = await by_landlock.run(
        confinement, "touch x $TMPDIR/x; cat ../home/auth.json; touch ../outside/x"
    )
    assert (by_landlock.workspace / "x").exists()
    assert done.stdout == ""
    assert os.listdir(by_landlock.outside) == []


@needs_landlock
async def test_a_means_that_is_asked_for_is_taken(by_landlock: Place) -> None:
    assert await by_landlock.sandbox.means(SandboxPolicy("read-only")) == "landlock"


def test_everything_but_some_files_is_said_by_their_neighbours(tmp_path: Path) -> None:
    for name in ("a/x", "a/y", "b/z", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to("a/x")
    rest = everything_but([f"{tmp_path}/a/x", f"{tmp_path}/b"])
    assert rest is not None
    assert {path for path in rest if path.startswith(str(tmp_path))} == {
        f"{tmp_path}/a/y",
        f"{tmp_path}/c",
    }
    assert "/usr" in rest
    assert everything_but([]) == ("/",)


def test_too_many_neighbours_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codex_rpc.sandbox.plan.MAX_SIBLINGS", 10)
    for n in range(20):
        (tmp_path / str(n)).touch()
    assert everything_but([f"{tmp_path}/1"]) is None


async def test_denied_files_may_not_be_read_by_tools(here: Place) -> None:
    (here.workspace / ".env").write_text("secret")
    (here.workspace / "link").symlink_to(".env")
    root = here.workspace
    for name in (".env", "a/.env", "link", "../home/auth.json", "a/../.env", ".env/../.env"):
        assert not here.sandbox.may_read(root / name, root), name
    for name in ("env", "../home/config.toml", "../x"):
        assert here.sandbox.may_read(root / name, root), name


async def test_a_glob_that_is_meant_everywhere_holds_everywhere_for_tools(tmp_path: Path) -> None:
    async with place(tmp_path, deny_read=("**/.env", "key")) as here:
        for name in ("../outside/.env", "../.env", "/etc/.env"):
            assert not here.sandbox.may_read(here.workspace / name, here.workspace), name
        assert here.sandbox.may_read(here.outside / "key", here.workspace)


async def test_what_is_denied_in_one_folder_stays_denied_in_the_next(tmp_path: Path) -> None:
    async with place(tmp_path, deny_read=("**/.env", "key")) as here:
        other, third = here.outside, tmp_path / "third"
        third.mkdir()
        for name in (".env", "key"):
            for folder in (here.workspace, other, third):
                (folder / name).write_text("secret")
        assert not here.sandbox.may_read(other / "key", other)
        assert not here.sandbox.may_read(here.workspace / "key", third)
        assert not here.sandbox.may_read(other / "key", third)
        confinement = await here.confine("read-only", cwd=third)
        done = await here.run(
            confinement, f"cat {here.workspace}/* {here.workspace}/.env {other}/*"
        )
        assert done.stdout == ""


@needs_bubblewrap
@pytest.mark.parametrize("first", ["missing", "folder", "link"])
async def test_no_command_can_aim_a_root_elsewhere(here: Place, first: str) -> None:
    root = here.workspace / "root"
    if first == "folder":
        root.mkdir()
    elif first == "link":
        (here.workspace / "real").mkdir()
        root.symlink_to("real")
    await here.bash(f"rm -rf root; ln -s {here.outside} root", roots=[root])
    if first == "folder":
        # That a command cannot do, but somebody else may.
        root.rename(here.workspace / "moved")
        root.symlink_to(here.outside)
    confinement = await here.confine(roots=[root])
    (gap,) = confinement.gaps
    assert str(root) in gap
    assert "elsewhere" in gap
    await here.run(confinement, f"touch {here.outside}/x root/x")
    assert os.listdir(here.outside) == []
    policy = SandboxPolicy("workspace-write", (str(root),))
    assert here.sandbox.write_problem(here.outside / "x", policy, here.workspace) is not None
    assert here.sandbox.write_problem(here.outside / "x", policy, root) is not None


@needs_bubblewrap
async def test_a_session_folder_behind_a_link_stays_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "link").symlink_to("workspace")
    async with place(tmp_path) as here:
        assert (await here.confine(cwd=tmp_path / "link")).gaps == ()
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("outside")
        confinement = await here.confine(cwd=tmp_path / "link")
        assert len(confinement.gaps) == 1
        await here.run(confinement, f"touch {here.outside}/x")
        assert os.listdir(here.outside) == []


@needs_bubblewrap
async def test_a_root_that_a_command_makes_is_writable_from_then_on(
    here: Place, tmp_path: Path
) -> None:
    root = tmp_path / "build"
    assert (await here.bash(f"touch {root}", roots=[root])).code != 0
    root.mkdir()
    assert (await here.bash(f"touch {root}/x", roots=[root])).code == 0


@needs_bubblewrap
async def test_a_home_behind_a_link_in_a_root_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "workspace" / "real").mkdir(parents=True)
    (tmp_path / "workspace" / "cx").symlink_to("real")
    async with place(tmp_path, codex_home=tmp_path / "workspace" / "cx") as here:
        (gap,) = (await here.confine()).gaps
        assert "cx` is a link" in gap
        assert (await here.confine("read-only")).gaps == ()


@needs_landlock
async def test_a_scratch_folder_that_a_command_replaced_leads_to_no_removal(
    tmp_path: Path,
) -> None:
    (tmp_path / "outside" / "a").mkdir(parents=True)
    (tmp_path / "outside" / "a").chmod(0o755)
    async with place(tmp_path, sandbox_means="landlock") as here:
        confinement = await here.confine(roots=[tmp_path / "temporary"])
        script = f"mv $TMPDIR {here.workspace}/taken && ln -s {here.outside} $TMPDIR"
        assert (await here.run(confinement, script)).code == 0
        await here.sandbox.aclose()
        assert (here.outside / "a").stat().st_mode & 0o777 == 0o755
        (link,) = (tmp_path / "temporary").iterdir()
        link.unlink()


async def test_tools_may_write_in_the_roots_and_to_nothing_protected(here: Place) -> None:
    policies = [SandboxPolicy("workspace-write"), SandboxPolicy("danger-full-access")]
    root = here.workspace
    (root / "link").symlink_to("../outside")
    for policy in policies:
        for name in ("x", "new/x", "a/../x", ".gitignore"):
            assert here.sandbox.write_problem(root / name, policy, root) is None, name
        for name in ("../outside/x", "link/x", ".git/x", ".codex", ".env", "../home/auth.json"):
            assert here.sandbox.write_problem(root / name, policy, root) is not None, name
        more = SandboxPolicy(policy.mode, (str(here.outside),))
        assert here.sandbox.write_problem(root / "link" / "x", more, root) is None
    assert here.sandbox.write_problem(root / "x", SandboxPolicy("read-only"), root) == (
        "the sandbox is read-only"
    )


@pytest.mark.parametrize("means", ["bubblewrap", "landlock"])
async def test_a_denial_is_seen_in_what_a_command_prints(tmp_path: Path, means: str) -> None:
    if means in probe().problems:
        pytest.skip(probe().problems[means])
    async with place(tmp_path, deny_read=("**/.env",), sandbox_means=means) as here:
        (here.workspace / ".env").write_text("secret")
        confinement = await here.confine("read-only")
        refused = [
            "touch x",
            "echo x > new",
            "mkdir -p a/b/c",
            "cat .env",
            f"cp /bin/true {here.outside}/a",
            f"sh -c 'echo x > {here.outside}/a'",
            "exec 3<>/dev/tcp/127.0.0.1/1",
            'python3 -c \'open("x", "w")\'',
            "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 1))'",
            "tar -cf x.tar /bin/true",
        ]
        own_fault = [
            "ls nonexistent",
            "cat /nonexistent/x",
            "exit 1",
            "grep -q nothing .git",
            "echo 'cannot touch x: No such file or directory' >&2; false",
            "chmod",
        ]
        for script in refused:
            done = await here.run(confinement, script)
            output = done.stdout + done.stderr
            assert done.code != 0, script
            assert confinement.denial(output, here.workspace) is not None, (script, output)
        for script in own_fault:
            done = await here.run(confinement, script)
            output = done.stdout + done.stderr
            assert done.code != 0, script
            assert confinement.denial(output, here.workspace) is None, (script, output)


async def test_a_session_can_end_twice_and_begin_again(here: Place) -> None:
    await here.confine()
    await here.sandbox.aclose()
    await here.sandbox.aclose()
    assert (await here.confine()).means == probe().best


async def test_a_workspace_on_the_import_path_is_a_gap(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(here.workspace), *sys.path])
    assert any("PYTHONPATH" in gap for gap in (await here.confine()).gaps)
    assert not any("PYTHONPATH" in gap for gap in (await here.confine("read-only")).gaps)
