"""What a command held by bubblewrap can do, and what it cannot: real processes, real mounts."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from confinement_support import Place, place
from launch_support import environment

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.sandbox import bubblewrap, temporary
from codex_rpc.sandbox.inheritance import inheritable
from codex_rpc.sandbox.launch import Launch
from codex_rpc.sandbox.means import Bubblewrap, probe

WORKS = probe().bubblewrap is not None
pytestmark = pytest.mark.skipif(not WORKS, reason=probe().problems.get("bubblewrap", ""))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path, deny_read=("**/.env", "secrets/**")) as made:
        yield made


async def test_a_command_sees_the_disk_and_cannot_change_it_under_read_only(here: Place) -> None:
    (here.workspace / "file").write_text("text")
    done = await here.bash("cat file && touch file new ../outside/new /etc/new", "read-only")
    assert done.stdout == "text"
    assert done.stderr.count("Read-only file system") == 4
    assert os.listdir(here.workspace) == ["file"]


async def test_roots_are_writable_and_nothing_else_is(here: Place, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    done = await here.bash(
        f"echo 1 > a && echo 2 > {root}/b && mkdir c; echo 3 > {here.outside}/d", roots=[root]
    )
    assert done.code == 1
    assert "Read-only file system" in done.stderr
    assert (here.workspace / "a").read_text() == "1\n"
    assert (root / "b").read_text() == "2\n"
    assert os.listdir(here.outside) == []


async def test_the_machines_devices_keep_their_modes(here: Place) -> None:
    # Through what is open for reading too; the mode that is asked for is the one that it has.
    before = os.stat(os.devnull).st_ctime_ns
    await here.bash("chmod 666 /dev/stdin /proc/self/fd/0 /dev/null")
    assert os.stat(os.devnull).st_ctime_ns == before


@pytest.mark.parametrize("mode", ["read-only", "workspace-write"])
async def test_there_is_room_for_temporary_files_of_the_commands_own(here: Place, mode) -> None:
    done = await here.bash('f=$(mktemp) && echo text > "$f" && cat "$f" && echo $TMP $TEMP', mode)
    assert done.stdout.startswith("text\n")
    assert done.code == 0


async def test_the_temporary_folder_lasts_as_long_as_the_session(here: Place) -> None:
    await here.bash("echo text > $TMPDIR/kept")
    assert (await here.bash("cat $TMPDIR/kept")).stdout == "text\n"


async def test_a_temporary_folder_inside_a_root_cannot_be_replaced(
    here: Place, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    done = await here.bash(
        f"mv $TMPDIR {here.workspace}/taken; rm -rf $TMPDIR; ln -sfn {here.outside} $TMPDIR;"
        "touch $TMPDIR/x",
        roots=[temporary],
    )
    assert done.code == 0
    (folder,) = temporary.iterdir()
    assert not folder.is_symlink()
    assert "x" in os.listdir(folder)
    assert os.listdir(here.outside) == []


async def test_a_temporary_folder_that_was_moved_away_is_replaced(
    here: Place, tmp_path: Path
) -> None:
    await here.bash("true")
    (folder,) = (tmp_path / "temporary").iterdir()
    folder.rename(here.workspace / "taken")
    assert (await here.bash("touch $TMPDIR/x")).code == 0
    assert os.listdir(here.workspace / "taken") == []


async def test_what_a_command_shut_is_removed_with_the_session(here: Place) -> None:
    done = await here.bash("cd $TMPDIR && mkdir -p a/b && touch a/b/c && chmod 0 a/b a")
    assert done.code == 0  # The fixture checks that nothing is left.


async def test_protected_names_are_read_only_where_they_exist(here: Place) -> None:
    hooks = here.workspace / ".git" / "hooks"
    hooks.mkdir(parents=True)
    (here.workspace / ".codex").write_text("a file")
    done = await here.bash(
        "ls .git; touch .git/hooks/pre-commit; rm -r .git; mv .git away; echo x > .codex; rm .codex"
    )
    assert done.stdout == "hooks\n"
    assert done.code == 1
    assert os.listdir(hooks) == []
    assert (here.workspace / ".codex").read_text() == "a file"


async def test_protected_names_cannot_be_made_and_leave_no_trace(here: Place) -> None:
    done = await here.bash(
        "mkdir -p .git/hooks; touch .codex/x; rmdir .git; mv .codex x; ln -s /tmp .git/x; ls -A"
    )
    assert done.stdout.split() == [".codex", ".git"]
    assert "Read-only file system" in done.stderr
    assert os.listdir(here.workspace) == []


async def test_a_stand_in_lasts_until_the_last_command_that_needs_it(here: Place) -> None:
    confinement = await here.confine()
    with fail_after(5):
        async with anyio.create_task_group() as group:

            async def run(script: str) -> None:
                assert (await here.run(confinement, script)).code == 0

            group.start_soon(
                run, "touch up; while [ ! -e go ]; do sleep 0.01; done; ! touch .git/x"
            )
            while not (here.workspace / "up").exists():
                await anyio.sleep(0.005)
            await run("! touch .git/x")
            assert (here.workspace / ".git").is_dir()
            (here.workspace / "go").touch()
    assert sorted(os.listdir(here.workspace)) == ["go", "up"]


async def test_a_stand_in_that_a_crash_left_behind_goes_away(here: Place) -> None:
    (here.workspace / ".git").mkdir()
    (here.workspace / ".git").chmod(0o1755)
    assert (await here.bash("! touch .git/x")).code == 0
    assert os.listdir(here.workspace) == []


async def test_an_empty_folder_of_the_users_stays(here: Place) -> None:
    (here.workspace / ".codex").mkdir()
    assert (await here.bash("! touch .codex/x")).code == 0
    assert os.listdir(here.workspace) == [".codex"]


async def test_a_stand_in_that_was_taken_into_use_stays(here: Place) -> None:
    confinement = await here.confine()
    with confinement.launched(["true"], {}):
        (here.workspace / ".git" / "config").write_text("by git init, outside")
    assert os.listdir(here.workspace) == [".git"]
    assert (here.workspace / ".git").stat().st_mode & stat.S_ISVTX == 0


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
async def test_git_looks_past_a_stand_in(here: Place) -> None:
    subprocess.run(["git", "init", "-q", here.workspace.parent], check=True)
    done = await here.bash("git -c safe.directory='*' rev-parse --show-toplevel")
    assert done.stdout == f"{here.workspace.parent}\n"


async def test_the_session_files_cannot_be_changed_wherever_they_are(tmp_path: Path) -> None:
    home = tmp_path / "workspace" / "deep" / "home"
    home.mkdir(parents=True)
    (home / "config.toml").write_text("strict")
    (home / "auth.json").write_text("secret")
    async with place(tmp_path, codex_home=home) as here:
        done = await here.bash(
            "cat deep/home/config.toml; cat deep/home/auth.json; echo x > deep/home/config.toml;"
            "mv deep/home x; mv deep away; rm -rf deep; touch deep/beside"
        )
        assert done.stdout == "strict"
        assert done.code == 0
    assert (home / "config.toml").read_text() == "strict"
    assert (home.parent / "beside").exists()


async def test_a_session_inside_the_session_files_may_write_nothing(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        cwd = here.home / "sessions"
        cwd.mkdir()
        assert (await here.bash("touch x", cwd=cwd)).code == 1


async def test_roots_in_roots_keep_their_protection(here: Place) -> None:
    inner = here.workspace / "a" / "inner"
    inner.mkdir(parents=True)
    script = (
        f"cd {here.workspace} && touch a/x a/inner/x && ! touch a/inner/.git/x && ! touch .git/x"
        " && ! mv a/inner b && ! mv a b"
    )
    assert (await here.bash(script, roots=[inner])).code == 0
    assert (await here.bash(script, cwd=inner, roots=[here.workspace])).code == 0


async def test_a_root_behind_a_link_is_the_folder_that_it_leads_to(here: Place) -> None:
    (here.workspace / "link").symlink_to("../outside")
    assert (await here.bash("touch link/x")).code == 1
    assert (await here.bash("touch link/x", roots=[here.workspace / "link"])).code == 0
    assert (await here.bash("pwd -P; touch y", cwd=here.workspace / "link")).stdout == (
        f"{here.outside}\n"
    )
    assert sorted(os.listdir(here.outside)) == ["x", "y"]


@pytest.mark.parametrize("name", [b"a b", b"a\nb", b"\xff\xfe", b"a\\040b", b"'\"$(x)", b"--bind"])
async def test_folders_with_strange_names_are_confined_like_others(
    here: Place, name: bytes
) -> None:
    cwd = here.workspace / os.fsdecode(name)
    (cwd / ".git").mkdir(parents=True)
    (cwd / ".env").write_text("secret")
    done = await here.bash("touch x; cat .env; touch .git/x ../x", cwd=cwd)
    assert (done.code, done.stdout) == (1, "")
    assert (cwd / "x").exists()
    assert os.listdir(cwd / ".git") == []
    assert not (here.workspace / "x").exists()


async def test_denied_files_and_folders_cannot_be_read(here: Place) -> None:
    secrets = here.workspace / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("secret")
    (here.workspace / ".env").write_text("secret")
    (here.workspace / "link").symlink_to(".env")
    (here.home / "auth.json").write_text("secret")
    for mode in ("read-only", "workspace-write"):
        done = await here.bash(
            "cat .env link secrets/key ../home/auth.json; ls -A secrets; cp .env copy;"
            "mv .env copy; ln .env copy; rm -f .env;"
            "mv secrets other; chmod 700 secrets; cat secrets/key",
            mode,
        )
        assert "secret" not in done.stdout.replace("secrets", "")
        assert done.code == 1
    assert (here.workspace / ".env").read_text() == "secret"
    assert (secrets / "key").read_text() == "secret"


async def test_a_denied_file_cannot_be_brought_to_another_name(tmp_path: Path) -> None:
    async with place(tmp_path, deny_read=("a/b/key",)) as here:
        (here.workspace / "a" / "b").mkdir(parents=True)
        (here.workspace / "a" / "b" / "key").write_text("secret")
        await here.bash("mv a c; mv a/b a/c; mv a/b/key key")
        done = await here.bash("cat c/b/key a/c/key key a/b/key")
    assert done.stdout == ""


async def test_a_denied_file_that_has_vanished_meanwhile_is_not_made_anew(here: Place) -> None:
    (here.workspace / ".env").write_text("secret")
    confinement = await here.confine()
    (here.workspace / ".env").unlink()
    assert (await here.run(confinement, "true")).code == 0
    assert os.listdir(here.workspace) == []


async def test_a_root_that_was_replaced_meanwhile_is_not_mounted(here: Place) -> None:
    confinement = await here.confine()
    here.workspace.rmdir()
    here.workspace.symlink_to("outside")
    with pytest.raises(SandboxUnavailable), confinement.launched(["true"], {}):
        pass
    assert os.listdir(here.outside) == []


async def test_more_denied_files_than_can_be_masked_are_a_gap(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "MAX_MASKS", 3)
    for n in range(5):
        (here.workspace / str(n)).mkdir()
        (here.workspace / str(n) / ".env").write_text("secret")
    confinement = await here.confine()
    (gap,) = confinement.gaps
    assert "sandbox_deny_read" in gap
    done = await here.run(confinement, "cat */.env")
    assert done.stdout == "secret" * 2


async def test_there_is_no_network_unless_it_is_allowed(here: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"exec 3<>/dev/tcp/127.0.0.1/{port}"
        assert (await here.bash(script)).code == 1
        assert (await here.bash(script, "read-only")).code == 1
        assert (await here.bash(script, network=True)).code == 0


async def test_without_network_only_the_loopback_is_there(here: Place) -> None:
    done = await here.bash("grep -c : /proc/net/dev; grep -o lo: /proc/net/dev")
    assert done.stdout.split() == ["1", "lo:"]


async def test_a_socket_outside_cannot_be_reached(here: Place) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(here.workspace / "socket"))
        server.listen()
        script = "import socket; socket.socket(socket.AF_UNIX).connect('socket')"
        done = await here.run(await here.confine(), script, python=True)
    assert done.code == 1
    assert "PermissionError" in done.stderr


async def test_other_processes_can_be_neither_seen_nor_signalled(here: Place) -> None:
    done = await here.bash(f"ls -d /proc/{os.getpid()}; kill -0 {os.getpid()}; ls -d /proc/[0-9]*")
    assert str(os.getpid()) not in done.stdout
    assert len(done.stdout.split()) < 10


async def test_what_a_command_leaves_behind_dies_with_it(here: Place) -> None:
    with fail_after(5):
        done = await here.bash(f"setsid sleep 1000.{os.getpid()} > /dev/null 2>&1 & echo $!")
    assert done.code == 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert entry.read_bytes() != f"sleep\x001000.{os.getpid()}\x00".encode()
        except (FileNotFoundError, ProcessLookupError):
            continue


async def test_a_command_gets_its_environment_and_bubblewrap_gets_none(here: Place) -> None:
    done = await here.bash("true")
    confinement = await here.confine()
    strange = {"A": "1\n2", "B": "", "C": "\x00", "D=E": "x", "": "x"}
    with confinement.launched(["env"], environment(LD_PRELOAD="/x.so", **strange)) as launch:
        assert launch.env == {}
    done = await here.run(confinement, "env -0", **strange)
    pairs = dict(item.split("=", 1) for item in done.stdout.split("\0") if item)
    assert pairs["A"] == "1\n2"
    assert pairs["B"] == ""
    assert {"C", "D", "LD_PRELOAD"}.isdisjoint(pairs)


async def test_a_session_in_a_folder_of_devices_sees_its_own_files(here: Place) -> None:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        (folder / "file").write_text("text")
        read = await here.bash("cat file; touch new", "read-only", cwd=folder)
        assert (read.code, read.stdout) == (1, "text")
        assert (await here.bash("cat file && touch new", cwd=folder)).stdout == "text"
        assert (folder / "new").exists()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("cwd", ["/proc", "/dev", "/sys"])
async def test_a_root_of_the_kernels_is_a_gap(here: Place, cwd: str) -> None:
    confinement = await here.confine(cwd=Path(cwd))
    assert confinement.gaps == (f"`{cwd}` cannot be made writable",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the rights to lose")
async def test_root_keeps_its_files_and_nothing_of_the_machine(here: Place) -> None:
    # None of this would do harm if it worked.
    before = os.stat("/dev/full").st_mtime_ns
    done = await here.bash("touch /dev/full; chmod 600 /dev/full; echo 1 > /dev/full")
    assert "No space left" in done.stderr
    assert os.stat("/dev/full").st_mtime_ns == before
    attempts = [
        ": >> /proc/sys/kernel/printk",
        ": >> /proc/self/oom_score_adj",
        ": >> /sys/kernel/uevent_helper",
        "mknod disk b 8 0",
        "mount -t tmpfs none .",
        "chroot / true",
        'hostname "$(uname -n)"',
    ]
    for attempt in attempts:
        done = await here.bash(attempt)
        assert done.code != 0, attempt
    done = await here.bash("touch mine && chmod 600 mine && cat mine && chown 1:1 mine && cat mine")
    working = probe().bubblewrap
    assert working is not None
    if "--unshare-user" not in working.privileges:
        assert done.code == 0
        assert (here.workspace / "mine").stat().st_uid == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the whole disk writable")
async def test_the_whole_disk_as_a_root_leaves_out_the_kernel(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        done = await here.bash(
            f"touch {here.outside}/x; touch /.git/x; : >> /proc/sys/vm/swappiness;"
            ": >> /sys/kernel/uevent_helper; touch -d 2020-01-01 /sys/fs/cgroup; echo > /dev/null",
            cwd=Path("/"),
        )
    assert (here.outside / "x").exists()
    assert done.stderr.count("Read-only file system") == 4
    assert not Path("/.git").exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, and nobody owns."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        (Path(folder) / "root").mkdir()
        for path in (Path(folder) / "root", Path(folder) / "secret", Path(folder) / "shut"):
            path.mkdir() if path.name == "shut" else path.touch() if path.name == "secret" else None
            os.chown(path, 65534, 65534)
        yield Path(folder)


def run_as_nobody(launch: Launch, cwd: Path) -> subprocess.CompletedProcess[str]:
    with inheritable(launch) as (argv, fds):
        return subprocess.run(
            argv, env=launch.env, pass_fds=fds, cwd=cwd, user=65534, group=65534, extra_groups=[],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_an_ordinary_user_is_confined_in_a_user_namespace(open_folder: Path) -> None:
    working = probe().bubblewrap
    assert working is not None
    ordinary = Bubblewrap(path=working.path, version=working.version)
    view = bubblewrap.View(
        writable=(f"{open_folder}/root",),
        denied=(f"{open_folder}/secret", f"{open_folder}/shut"),
    )
    script = (
        "id -u; touch x; touch ../y; cat ../secret; ls ../shut; chmod 600 /dev/full;"
        "grep CapEff /proc/self/status; ls /proc | grep -c '^[0-9]'"
    )
    launch = bubblewrap.launch(["bash", "-c", script], environment(), view, ordinary)
    done = run_as_nobody(launch, open_folder / "root")
    if "namespace" in done.stderr:
        pytest.skip(f"ordinary users may not: {done.stderr}")
    lines = done.stdout.split()
    assert (lines[0], lines[2]) == ("65534", "0" * 16)
    assert (open_folder / "root" / "x").exists()
    assert done.stderr.count("Permission denied") == 2
    assert done.stderr.count("Operation not permitted") == 1


def test_a_name_that_is_only_removed_by_its_last_user_survives_many(tmp_path: Path) -> None:
    path = str(tmp_path / "name")
    first, second = temporary.standing_in(path), temporary.standing_in(path)
    assert first.__enter__()
    assert second.__enter__()
    first.__exit__(None, None, None)
    assert os.path.isdir(path)
    second.__exit__(None, None, None)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        temporary.standing_in(str(tmp_path / "missing" / "name")),
    ):
        pass


async def test_what_we_run_from_cannot_be_changed(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    package = workspace / "lib" / "codex_rpc"
    launcher = package / "sandbox" / "launcher.py"
    shutil.copytree(Path(bubblewrap.__file__).parents[1], package)
    script = """if True:
        import asyncio, sys
        from pathlib import Path
        from confinement_support import place

        async def main():
            async with place(Path(sys.argv[1])) as here:
                done = await here.bash(
                    "echo x >> lib/codex_rpc/sandbox/launcher.py; mv -T lib/codex_rpc x;"
                    "mv -T lib y; mkdir lib/json; touch file"
                )
                print(done.stderr)

        asyncio.run(main())
    """
    paths = [str(workspace / "lib"), str(Path(__file__).parent)]
    with fail_after(15):
        done = await anyio.run_process(
            [sys.executable, "-B", "-c", script, str(tmp_path)],
            cwd=tmp_path,
            env={**environment(), "PYTHONPATH": os.pathsep.join(paths)},
            check=False,
        )
    assert b"launcher.py: Read-only file system" in done.stdout, done.stderr
    assert not launcher.read_bytes().endswith(b"x\n")
    assert (workspace / "file").exists()
    assert {"file", "lib"} <= set(os.listdir(workspace))
    assert os.listdir(workspace / "lib") == ["codex_rpc"]
