"""What a command confined by Landlock can do, and what it cannot: real processes, this kernel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import sys
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from hypothesis import given, settings
from hypothesis import strategies as st
from launch_support import Outcome, environment, outcome_of

from codex_rpc.sandbox import landlock
from codex_rpc.sandbox.landlock import launch
from codex_rpc.sandbox.launch import LandlockRules
from codex_rpc.sandbox.process import NotStarted

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no usable Landlock")

SYSTEM = tuple(
    os.path.realpath(folder)
    for folder in {"/usr", "/bin", "/lib", "/lib64", "/etc", "/proc", sys.prefix, sys.base_prefix}
    if os.path.exists(folder)
)


def rules(
    *writable: Path,
    readable: tuple[str, ...] = ("/",),
    network: bool = False,
    change_metadata: bool = True,
) -> LandlockRules:
    return LandlockRules(
        readable=readable,
        writable=tuple(str(path) for path in writable),
        network=network,
        change_metadata=change_metadata,
    )


async def bash(script: str, cwd: Path, given: LandlockRules, **more: str) -> Outcome:
    return await outcome_of(launch(["bash", "-c", script], environment(**more), given), cwd)


async def python(code: str, cwd: Path, given: LandlockRules) -> Outcome:
    argv = [sys.executable, "-I", "-S", "-c", code]
    return await outcome_of(launch(argv, environment(), given), cwd)


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """`inside` may be written, `outside` may be read, `hidden` may not."""
    for name in ("inside", "outside", "hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name} text")
    return tmp_path


def places_rules(places: Path, *, change_metadata: bool = True) -> LandlockRules:
    readable = (*SYSTEM, str(places / "outside"))
    return rules(places / "inside", readable=readable, change_metadata=change_metadata)


@pytest.mark.parametrize(
    "script",
    [
        "cat ../outside/file; echo new > file; echo more >> file; cat file",
        "mkdir -p a/b; mv a/b c; rmdir a c; mkfifo pipe; ln -s file link; ln file hard; rm pipe",
        "mv file a; mv a file; truncate -s 0 file; chmod 600 file; touch -d 2020-01-01 file",
        "ls ../hidden; ls -l ../hidden/file; test -e ../hidden/file",
        "cd ../hidden && ls",
        "echo x > /dev/null; head -c 4 /dev/zero /dev/urandom /dev/random",
        "cp /bin/true here && ./here",
        "echo out > /dev/stdout; echo err > /dev/stderr; cat <(echo a) <(echo b)",
    ],
)
async def test_what_is_allowed_works(places: Path, script: str) -> None:
    with fail_after(10):
        outcome = await bash(f"set -e; {script}", places / "inside", places_rules(places))
    assert outcome.code == 0, outcome.stderr


@pytest.mark.parametrize(
    "script",
    [
        "cat ../hidden/file",
        "cat /proc/self/cwd/../hidden/file",
        "cat /proc/self/root$(realpath ..)/hidden/file",
        "ln -s ../hidden/file link; cat link",
        "ln ../hidden/file link && cat link",
        "mv ../hidden/file . && cat file",
        "cp ../hidden/program .; ../hidden/program",
        "echo x > ../outside/file",
        "echo x > ../outside/new",
        "ln -s ../outside link; echo x > link/new",
        "truncate -s 0 ../outside/file",
        "python3 -c 'import os; os.truncate(\"../outside/file\", 0)'",
        "rm ../outside/file",
        "mv ../outside/file ..",
        "mv file ../outside/",
        "mv -T ../outside ../inside/outside",
        "ln file ../outside/file2",
        "ln ../outside/file here && echo x > here",
        "mkdir ../outside/folder",
        "mkfifo ../outside/pipe",
        "ln -s x ../outside/link",
        "cat /dev/mem",
        "mknod disk b 259 0",
        "exec 3<>/dev/ptmx",
        "kill -0 $PPID",
        "kill -9 $PPID",
        "cat /proc/$PPID/environ",
        "echo 1 > /proc/sys/kernel/sysrq",
        "unshare -Ur true",
        "unshare -m true",
        "mount -t tmpfs none .",
        "chroot / true",
        "nsenter -t 1 -m true",
    ],
)
async def test_what_is_not_allowed_fails(places: Path, script: str) -> None:
    (places / "hidden" / "program").write_bytes(Path("/bin/true").read_bytes())
    (places / "hidden" / "program").chmod(0o755)
    with fail_after(10):
        outcome = await bash(script, places / "inside", places_rules(places))
    assert outcome.code not in (0, None), outcome.stdout
    assert "text" not in outcome.stdout
    outside = sorted(path.name for path in (places / "outside").iterdir())
    assert outside == ["file"]
    assert (places / "outside" / "file").read_text() == "outside text"
    assert (places / "hidden" / "file").read_text() == "hidden text"


CHANGES = [
    "chmod 777 {}",
    "chown 1 {}",
    "touch -d 2001-01-01 {}",
    "touch -a {}",
    "chattr +d {}",
    'python3 -c \'import os; os.setxattr("{}", "user.a", b"b")\'',
    "python3 -c 'import os; os.utime(os.open(\"{}\", 0))'",
    "ipcmk -Q",
]


@pytest.mark.parametrize("script", CHANGES)
async def test_without_change_metadata_a_files_attributes_stay(places: Path, script: str) -> None:
    file = places / "outside" / "file"
    before = (file.stat(), os.listxattr(file))
    given = places_rules(places, change_metadata=False)
    with fail_after(10):
        outcome = await bash(script.format(file), places, given)
    assert outcome.code not in (0, None)
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns, after.st_ctime_ns) == (
        *(before[0].st_mode, before[0].st_uid, before[0].st_mtime_ns),
        before[0].st_ctime_ns,
    )
    assert os.listxattr(file) == before[1]


TREE = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"]


@given(
    readable=st.sets(st.sampled_from([*TREE, *(f"{folder}/file" for folder in TREE)])),
    writable=st.sets(st.sampled_from([*TREE, *(f"{folder}/file" for folder in TREE)])),
)
@settings(deadline=None, max_examples=25)
def test_each_file_can_be_used_as_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, readable: set[str], writable: set[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for folder in TREE:
        (root / folder).mkdir()
        (root / folder / "file").write_text("text")
    code = f"""
import os
for folder in {TREE!r}:
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_TRUNC):
        try:
            os.close(os.open(folder + "/file", flags))
            print(1)
        except PermissionError:
            print(0)
"""
    granted = rules(
        *(root / path for path in writable),
        readable=(*SYSTEM, *(str(root / path) for path in readable)),
    )

    async def run() -> Outcome:
        with fail_after(10):
            return await python(code, root, granted)

    outcome = anyio.run(run)
    expected = []
    for folder in TREE:
        file = f"{folder}/file"
        may_write = any(file == path or file.startswith(path + "/") for path in writable)
        may_read = may_write or any(file == p or file.startswith(p + "/") for p in readable)
        expected += [may_read, may_write, may_write]
    assert [line == "1" for line in outcome.stdout.split()] == expected, outcome.stderr


async def test_a_path_that_has_vanished_is_left_out(places: Path) -> None:
    given = rules(places / "gone", readable=("/", str(places / "gone"), str(places / "file" / "x")))
    with fail_after(5):
        assert (await bash("true", places, given)).code == 0


async def test_a_link_where_a_folder_was_grants_nothing(places: Path) -> None:
    (places / "swapped").symlink_to(places / "outside")
    given = rules(places / "swapped", readable=SYSTEM)
    with fail_after(5):
        outcome = await bash("echo x > swapped/file", places, given)
    assert outcome.code == 1
    assert (places / "outside" / "file").read_text() == "outside text"


async def test_only_harmless_devices_can_be_opened(tmp_path: Path) -> None:
    code = """
import os
for folder, folders, files in os.walk("/dev"):
    for name in files:
        path = os.path.join(folder, name)
        for flags in (os.O_RDONLY, os.O_WRONLY):
            try:
                os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
                print(path)
            except OSError:
                pass
"""
    # This side of a terminal makes sure that there is one that could be typed into.
    master, slave = os.openpty()
    try:
        with fail_after(10):
            outcome = await python(code, tmp_path, rules(readable=("/", "/dev")))
    finally:
        os.close(master)
        os.close(slave)
    opened = set(outcome.stdout.split()) - {"/dev/stdin", "/dev/stdout", "/dev/stderr"}
    opened = {path for path in opened if not path.startswith("/dev/fd/")}
    assert opened - {"/dev/tty"} == {
        f"/dev/{n}" for n in ("null", "zero", "full", "random", "urandom")
    }


async def test_a_confined_command_has_no_capabilities(tmp_path: Path) -> None:
    with fail_after(5):
        outcome = await bash(
            "grep -E '^(Cap(Prm|Eff|Amb)|NoNewPrivs|Seccomp):' /proc/self/status", tmp_path, rules()
        )
    values = [line.split()[1] for line in outcome.stdout.splitlines()]
    assert values == ["0" * 16, "0" * 16, "0" * 16, "1", "2"]


async def test_only_what_is_inside_can_be_signalled(tmp_path: Path) -> None:
    if landlock.abi() < 6:
        pytest.skip("this kernel does not scope signals")
    code = f"""
import os
child = os.fork()
if child == 0:
    while True: os.read(0, 1) or __import__("time").sleep(1)
os.kill(child, 15)
print(os.waitpid(child, 0)[1])
for target in ({os.getpid()}, os.getppid()):
    for number in (0, 9, 15, 19):
        try:
            os.kill(target, number)
            print("sent", target, number)
        except PermissionError:
            print("refused")
"""
    with fail_after(5):
        outcome = await python(code, tmp_path, rules())
    assert outcome.stdout.split() == [str(int(signal.SIGTERM)), *["refused"] * 8], outcome.stderr


ANY_SOCKET = """
import socket, sys
kind, address = sys.argv[1:]
try:
    if kind == "tcp":
        socket.create_connection(("127.0.0.1", int(address)), timeout=3)
    else:
        s = socket.socket(socket.AF_UNIX)
        s.connect(address if kind == "unix" else "\\0" + address)
    print("reached")
except OSError as exc:
    print(exc.strerror)
"""


@pytest.mark.parametrize("network", [True, False])
async def test_tcp_is_reached_with_network_only_and_unix_sockets_never(
    tmp_path: Path, network: bool
) -> None:
    path, name = str(tmp_path / "socket"), f"codex-rpc-test-{os.getpid()}"
    told = {}
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        unix.bind(path)
        abstract.bind("\0" + name)
        for listening in (unix, abstract):
            listening.listen()
        for kind, address in (
            ("tcp", str(tcp.getsockname()[1])),
            ("unix", path),
            ("abstract", name),
        ):
            argv = [sys.executable, "-I", "-c", ANY_SOCKET, kind, address]
            with fail_after(5):
                outcome = await outcome_of(
                    launch(argv, environment(), rules(network=network)), tmp_path
                )
            told[kind] = outcome.stdout.strip()
    if not network:
        assert set(told.values()) == {"Operation not permitted"}
    else:
        assert told["tcp"] == "reached"
        assert told["unix"] == told["abstract"] == "Operation not permitted"


async def test_what_may_not_be_executed_is_reported_as_such(places: Path) -> None:
    program = places / "hidden" / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    with fail_after(5):
        refused = await outcome_of(
            launch([str(program)], environment(), places_rules(places)), places
        )
        missing = await outcome_of(
            launch(["no-such-program"], environment(), places_rules(places)), places
        )
    assert refused.result == NotStarted(f"Permission denied: '{program}'")
    assert missing.result == NotStarted("No such file or directory: 'no-such-program'")


def test_each_version_is_given_what_it_knows() -> None:
    for version in range(landlock.MINIMUM_ABI, 8):
        attributes = landlock._ruleset(version, network=False)
        values = struct.unpack(f"={len(attributes) // 8}Q", attributes)
        files = 0xFFFF if version >= 5 else 0x7FFF
        assert values == (files, *([3] if version >= 4 else []), *([3] if version >= 6 else []))


ORDINARY = {
    "bash sort": "seq 100 | sort -rn | head -1 | tee f | grep -c 100",
    "tar gzip": "mkdir d; date > d/f; tar czf d.tgz d; rm -r d; tar xzf d.tgz; test -s d/f",
    "git": """
        git init -q .; date > f; git add f; git -c user.name=a -c user.email=b commit -qm c
        git log --oneline; git gc -q; git diff --exit-code""",
    "node": """
        node -e 'const c = require("child_process");
        c.exec("echo hi", (e, out) => { if (e || out != "hi\\n") process.exit(1) });
        require("fs").promises.writeFile("f", c.execSync("seq 9"))'""",
    "gcc": "echo 'int main(void) { return 0; }' > m.c; gcc -o m m.c; ./m",
    "rustc": "echo 'fn main() {}' > m.rs; rustc -o m m.rs; ./m",
    "cargo": "cargo init -q --name m .; cargo build -q --offline; ./target/debug/m",
    "make": "printf 'all: a b\\na b:\\n\\ttouch $@\\n' > Makefile; make -j4; test -e b",
}
"""Scripts, by the programs that they need."""

ASYNCIO = """
import asyncio, subprocess, sys, tempfile, threading
from concurrent.futures import ThreadPoolExecutor

async def main():
    process = await asyncio.create_subprocess_exec(
        "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate(b"hi")
    assert out == b"hi"
    await asyncio.to_thread(subprocess.run, ["true"], check=True)
    with tempfile.TemporaryFile(dir=".") as file:
        file.write(b"x")
    print("done")

asyncio.run(main())
"""


@pytest.mark.parametrize("change_metadata", [True, False])
async def test_python_with_asyncio_and_threads_works(tmp_path: Path, change_metadata: bool) -> None:
    argv = [sys.executable, "-I", "-c", ASYNCIO]
    given = rules(tmp_path, change_metadata=change_metadata)
    with fail_after(10):
        outcome = await outcome_of(launch(argv, environment(), given), tmp_path)
    assert (outcome.code, outcome.stdout) == (0, "done\n"), outcome.stderr


@pytest.mark.parametrize("needed", ORDINARY)
async def test_ordinary_programs_work(tmp_path: Path, needed: str) -> None:
    if missing := [program for program in needed.split() if not shutil.which(program)]:
        pytest.skip(f"no {missing[0]} here")
    more = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}
    # Where the compilers of Rust are looked for, which is below the real home.
    more["RUSTUP_HOME"] = os.environ.get("RUSTUP_HOME", str(Path("~/.rustup").expanduser()))
    work = tmp_path / "work"
    work.mkdir()
    with fail_after(15):
        outcome = await bash(f"set -eo pipefail; {ORDINARY[needed]}", work, rules(tmp_path), **more)
    assert outcome.code == 0, outcome.stdout + outcome.stderr
