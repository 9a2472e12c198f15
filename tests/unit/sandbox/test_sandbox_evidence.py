"""What counts as a sign that the sandbox stopped a command, and what does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.protocol.policy import SandboxMeans
from codex_rpc.sandbox.evidence import MAX_SHOWN, Boundaries, find
from codex_rpc.sandbox.roots import Roots


def boundaries(
    folder: Path, *, means: SandboxMeans = "bubblewrap", network: bool = False
) -> Boundaries:
    """`folder/in` is writable except for `.git`, `folder/in/.env` is denied."""
    for name in ("in/.git", "out"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("in/.env", "in/file", "out/file"):
        (folder / name).touch()
    root = f"{folder}/in"
    return Boundaries(
        means=means,
        roots=Roots(writable=(root,), protected=(f"{root}/.git", f"{root}/.codex")),
        denied=(f"{root}/.env",),
        network=network,
    )


READ_ONLY = [
    # GNU, and the same under a locale with its own quotes
    "touch: cannot touch '{out}/x': Read-only file system",
    "touch: cannot touch \u2018{out}/x\u2019: Read-only file system",
    "cp: cannot create regular file '{out}/x': Read-only file system",
    "cp: cannot create regular file '../out/x y': Read-only file system",
    "mkdir: cannot create directory '{out}/a/b': Read-only file system",
    "mv: cannot move 'file' to '{out}/x': Read-only file system",
    "rm: cannot remove '{out}/file': Read-only file system",
    "ln: failed to create symbolic link '{out}/l': Read-only file system",
    "chmod: changing permissions of '{out}/file': Read-only file system",
    "sed: couldn't open temporary file {out}/sedXy1: Read-only file system",
    "tee: ../out/x: Read-only file system",
    "tar: ../out/x: Cannot open: Read-only file system",
    # shells
    "bash: line 1: {out}/x: Read-only file system",
    "sh: 1: cannot create {out}/x y: Read-only file system",
    "zsh:1: read-only file system: {out}/x",
    # languages
    "OSError: [Errno 30] Read-only file system: '{out}/x'",
    "OSError: [Errno 30] Read-only file system: 'file' -> '{out}/x'",
    "Error: EROFS: read-only file system, open '{out}/x'",
    "open {out}/x: read-only file system",
    "mkdir {out}/a: read-only file system",
    "go: could not create module cache: mkdir {out}/a: read-only file system",
    'Error: Os {{ code: 30, kind: ReadOnlyFilesystem, message: "Read-only file system" }}',
    "error: failed to write `{out}/x`\n\nCaused by:\n  Read-only file system (os error 30)",
    "npm error code EROFS\nnpm error syscall mkdir\nnpm error path {out}/.npm",
    # git, also on what is protected
    "fatal: Unable to create '{in}/.git/index.lock': Read-only file system",
    "error: could not lock config file .git/config: Read-only file system",
    "mv: cannot move '.git' to 'x': Device or resource busy",
]


@pytest.mark.parametrize("output", READ_ONLY)
def test_a_write_outside_the_roots_is_seen(tmp_path: Path, output: str) -> None:
    held = boundaries(tmp_path)
    text = (
        "before\n" + output.format(**{"out": tmp_path / "out", "in": tmp_path / "in"}) + "\nafter"
    )
    line = find(text, f"{tmp_path}/in", held)
    assert line is not None
    assert line in text


@pytest.mark.parametrize("output", READ_ONLY[:10])
@pytest.mark.parametrize("means", ["landlock", "seatbelt"])
def test_other_means_word_it_otherwise(tmp_path: Path, output: str, means: SandboxMeans) -> None:
    word = "Permission denied" if means == "landlock" else "Operation not permitted"
    text = output.format(out=tmp_path / "out").replace("Read-only file system", word)
    assert find(text, f"{tmp_path}/in", boundaries(tmp_path, means=means)) is not None


@pytest.mark.parametrize(
    "output",
    [
        "cat: .env: Permission denied",
        "cat: {in}/.env: Permission denied",
        "PermissionError: [Errno 13] Permission denied: '.env'",
        "Error: EACCES: permission denied, open '{in}/.env'",
        "open {in}/.env: permission denied",
        'error: open(".env"): Permission denied',
        "rm: cannot remove '.env': Device or resource busy",
    ],
)
def test_reading_a_denied_file_is_seen(tmp_path: Path, output: str) -> None:
    text = output.format(**{"in": tmp_path / "in"})
    assert find(text, f"{tmp_path}/in", boundaries(tmp_path)) == text


@pytest.mark.parametrize(
    "output",
    [
        "",
        "ls: cannot access 'nonexistent': No such file or directory",
        "cat: out/file: Is a directory",
        # An ordinary lack of rights, as the sandbox does not word it.
        "cat: {out}/file: Permission denied",
        "bash: line 1: ./file: Permission denied",
        "chown: changing ownership of 'file': Operation not permitted",
        # Inside the roots it is none of ours.
        "touch: cannot touch '{in}/x': Read-only file system",
        "bash: line 1: x: Read-only file system",
        "rm: cannot remove '{out}/file': Device or resource busy",
        "assert strerror(30) is what it should be",
        "FAILED test_read_only - the file system is read-only",
    ],
)
def test_what_would_have_failed_anyway_is_no_sign(tmp_path: Path, output: str) -> None:
    text = output.format(**{"out": tmp_path / "out", "in": tmp_path / "in"})
    assert find(text, f"{tmp_path}/in", boundaries(tmp_path)) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_place_where_we_cannot_write_ourselves_is_no_sign(tmp_path: Path) -> None:
    held = boundaries(tmp_path, means="landlock")
    for text in (
        "cat: /root/x: Permission denied",
        "touch: cannot touch '/proc/version': Read-only file system",
        "touch: cannot touch '/etc/x': Permission denied",
    ):
        assert find(text, f"{tmp_path}/in", held) is None


NETWORK = [
    "curl: (6) Could not resolve host: example.com",
    "curl: (7) Failed to connect to 1.1.1.1 port 80 after 0 ms: Couldn't connect to server",
    "ssh: Could not resolve hostname example.com: Temporary failure in name resolution",
    "fatal: unable to access 'https://x/': Could not resolve host: x",
    "wget: unable to resolve host address 'example.com'",
    "W: Failed to fetch http://deb  Temporary failure resolving 'deb.debian.org'",
    "socket.gaierror: [Errno -3] Temporary failure in name resolution",
    "Error: getaddrinfo EAI_AGAIN registry.npmjs.org",
    "Error: listen EPERM: operation not permitted 127.0.0.1:3000",
    "dial tcp: lookup x on 1.1.1.1:53: dial udp 1.1.1.1:53: socket: operation not permitted",
    "error sending request: dns error: failed to lookup address information: Try again",
    "ping: connect: Network is unreachable",
    "ping: socket: Operation not permitted",
    "bash: connect: Operation not permitted",
    (
        'Traceback\n  File "x", line 1\n    s.connect(("h", 1))\n'
        "PermissionError: [Errno 1] Operation not permitted"
    ),
]


@pytest.mark.parametrize("output", NETWORK)
def test_a_refused_network_is_seen_only_where_there_is_none(tmp_path: Path, output: str) -> None:
    assert find(output, f"{tmp_path}/in", boundaries(tmp_path)) is not None
    assert find(output, f"{tmp_path}/in", boundaries(tmp_path, network=True)) is None


def test_a_refused_system_call_is_seen(tmp_path: Path) -> None:
    text = "strace: ptrace(PTRACE_TRACEME, ...): Operation not permitted"
    assert find(text, f"{tmp_path}/in", boundaries(tmp_path)) == text


def test_what_is_shown_is_one_short_printable_line(tmp_path: Path) -> None:
    text = f"\x1b[31mtouch: cannot touch '{tmp_path}/out/x': Read-only file system\t" + "x" * 1000
    line = find(text, f"{tmp_path}/in", boundaries(tmp_path))
    assert line is not None
    assert len(line) <= MAX_SHOWN + 1
    assert line.isprintable()


WORDS = st.sampled_from(
    [
        *("Read-only file system", "Permission denied", "Operation not permitted", "os error 30"),
        *("cannot create ", "Cannot open", "[Errno 1]", "connect", "x", "\u00e9", "\0", "\udcff"),
        *("'", '"', "`", "/", ": ", " ", "\n"),
    ]
)


@given(st.lists(WORDS, max_size=30).map("".join))
@settings(deadline=None, max_examples=200)
def test_any_output_can_be_looked_at(output: str) -> None:
    held = Boundaries(means="landlock", roots=Roots(writable=("/nonexistent",), protected=()))
    line = find(output, "/nonexistent", held)
    assert line is None or line
