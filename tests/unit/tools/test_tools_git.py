"""A repository that is full of programs: trusted git commands run none of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from anyio import fail_after
from tools_support import Host, context, shell, shell_tool, told

from codex_rpc.tools.git_commands import filters_of, git_command, without_programs

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells"),
    pytest.mark.skipif(shutil.which("git") is None, reason="no git here"),
]

USER = ("-c", "user.name=u", "-c", "user.email=u@example.org")
SIGNED = """\
tree {tree}
parent {parent}
author u <u@example.org> 1700000000 +0000
committer u <u@example.org> 1700000000 +0000
gpgsig -----BEGIN PGP SIGNATURE-----
 iQ==
 -----END PGP SIGNATURE-----

signed
"""


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
    )
    return done.stdout.strip()


def configure(folder: Path, settings: dict[str, str]) -> None:
    """Add settings to a repository, all at once."""
    with (folder / ".git" / "config").open("a") as file:
        for name, value in settings.items():
            section, _, key = name.rpartition(".")
            section, _, subsection = section.partition(".")
            head = f'{section} "{subsection}"' if subsection else section
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            file.write(f'[{head}]\n\t{key} = "{quoted}"\n')


class Trapped:
    """A repository whose configuration names programs that leave their name in a file."""

    def __init__(self, folder: Path) -> None:
        self.trace = folder / "trace"
        self.bin = folder / "traps"
        self.bin.mkdir()
        self.work = folder / "work"
        self.work.mkdir()
        git(self.work, "init", "-q", "-b", "main")
        (self.work / "file").write_text("one\n")
        (self.work / "sub").mkdir()
        (self.work / "sub" / "file").write_text("one\n")
        git(self.work, "add", ".")
        git(self.work, *USER, "commit", "-qm", "first")
        tree, parent = git(self.work, "rev-parse", "HEAD^{tree}", "HEAD").split()
        text = SIGNED.format(tree=tree, parent=parent)
        signed = git(self.work, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text)
        git(self.work, "reset", "-q", signed)
        git(self.work, "tag", "v1")
        self._merge(parent)
        self._set_traps(self.work)
        self._add_submodule(folder)
        (self.work / ".gitattributes").write_text("* filter=trap diff=trap merge=trap\n")
        (self.work / "file").write_text("two\n")
        # As large as before, so that only its contents tell whether it has changed.
        (self.work / "sub" / "file").write_text("two\n")

    def trap(self, name: str, output: str = "cat") -> str:
        """A program's path."""
        program = self.bin / name
        program.write_text(f"#!/bin/sh\necho {name} >> {self.trace}\n{output}\n")
        program.chmod(0o755)
        return str(program)

    def sprung(self) -> set[str]:
        return set(self.trace.read_text().split()) if self.trace.exists() else set()

    def _set_traps(self, folder: Path) -> None:
        hooks = self.bin / "hooks"
        hooks.mkdir(exist_ok=True)
        for hook in ("post-index-change", "post-checkout", "reference-transaction", "pre-commit"):
            shutil.copy(self.trap("hook"), hooks / hook)
        settings = {
            "core.hooksPath": str(hooks),
            "core.fsmonitor": self.trap("fsmonitor"),
            "core.pager": self.trap("pager"),
            "core.editor": self.trap("editor"),
            "core.askPass": self.trap("askpass"),
            "core.sshCommand": self.trap("ssh"),
            "core.alternateRefsCommand": self.trap("alternates"),
            "pager.log": self.trap("pager"),
            "pager.diff": self.trap("pager"),
            "interactive.diffFilter": self.trap("diff-filter"),
            "diff.external": self.trap("diff-external"),
            "diff.trap.command": self.trap("diff-command"),
            "diff.trap.textconv": self.trap("textconv", 'cat "$1"'),
            "diff.submodule": "diff",
            "filter.trap.clean": self.trap("clean"),
            "filter.trap.smudge": self.trap("smudge"),
            "filter.trap.required": "true",
            "merge.trap.driver": self.trap("merge"),
            "log.diffMerges": "remerge",
            "status.submoduleSummary": "true",
            "log.showSignature": "true",
            "gpg.program": self.trap("gpg", "exit 1"),
            "gpg.openpgp.program": self.trap("gpg", "exit 1"),
            "pretty.trap": "%G? %GS %s",
            "format.pretty": "%G? %h %s",
            "alias.status": f"!{self.trap('alias')}",
            "alias.log": f"!{self.trap('alias')}",
        }
        configure(folder, settings)

    def _merge(self, base: str) -> None:
        """A tag `merged`, at a merge of two changes of the same line."""
        trees = {
            content: git(
                self.work,
                "mktree",
                stdin="100644 blob "
                + git(self.work, "hash-object", "-w", "--stdin", stdin=content)
                + "\tfile\n",
            )
            for content in ("ours\n", "theirs\n", "both\n")
        }
        ours, theirs = (
            git(self.work, *USER, "commit-tree", "-p", base, "-m", name, trees[f"{name}\n"])
            for name in ("ours", "theirs")
        )
        parents = ("-p", ours, "-p", theirs)
        merged = git(self.work, *USER, "commit-tree", *parents, "-m", "m", trees["both\n"])
        git(self.work, "tag", "merged", merged)

    def _add_submodule(self, folder: Path) -> None:
        other = folder / "other"
        other.mkdir()
        git(other, "init", "-q", "-b", "main")
        (other / "file").write_text("one\n")
        git(other, "add", ".")
        git(other, *USER, "commit", "-qm", "first")
        target = self.work / "module"
        git(self.work, "clone", "-q", str(other), str(target))
        git(self.work, "update-index", "--add", "--cacheinfo",
            f"160000,{git(target, 'rev-parse', 'HEAD')},module")  # fmt: skip
        (self.work / ".gitmodules").write_text(
            f'[submodule "module"]\n\tpath = module\n\turl = {other}\n\tignore = none\n'
        )
        configure(
            target,
            {
                "filter.inner.clean": self.trap("inner-clean"),
                "diff.inner.command": self.trap("inner-diff"),
            },
        )
        (target / ".gitattributes").write_text("* filter=inner diff=inner\n")
        (target / "file").write_text("two\n")
        self.trace.unlink(missing_ok=True)


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    return Trapped(tmp_path)


@pytest.fixture(scope="module")
def one_for_all(tmp_path_factory: pytest.TempPathFactory) -> Trapped:
    return Trapped(tmp_path_factory.mktemp("trapped"))


@pytest.fixture
def shared(one_for_all: Trapped) -> Trapped:
    """The same for tests that change nothing."""
    one_for_all.trace.unlink(missing_ok=True)
    return one_for_all


COMMANDS = [
    ["git", "status"],
    ["git", "status", "--short"],
    ["git", "diff"],
    ["git", "diff", "--stat"],
    ["git", "diff", "HEAD"],
    ["git", "diff", "HEAD~1", "--submodule=log"],
    ["git", "--no-pager", "log", "-p"],
    ["git", "log"],
    ["git", "log", "--pretty=trap"],
    ["git", "log", "-S", "one"],
    ["git", "log", "-m", "-p", "merged"],
    ["git", "log", "-p", "--cc", "merged"],
    ["git", "show", "-m", "merged"],
    ["git", "show", "merged"],
    ["git", "show"],
    ["git", "show", "HEAD:file"],
    ["git", "blame", "file"],
    ["git", "branch", "-vv"],
    ["git", "tag", "-l"],
    ["git", "ls-files", "-m"],
    ["git", "describe", "--tags"],
    ["git", "shortlog", "HEAD"],
    ["git", "cat-file", "-p", "HEAD:file"],
    ["git", "stash", "list"],
    ["git", "rev-parse", "HEAD"],
    ["bash", "-lc", "git status && git diff | cat; git log -p -1"],
    ["bash", "-lc", "cd sub && git diff && git status"],
    ["sh", "-lc", "cd module && git status; git diff"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_a_trusted_git_command_runs_nothing_that_the_repository_names(
    shared: Trapped, command: list[str]
) -> None:
    host = Host(context(shared.work, approval="untrusted"))
    with fail_after(10):
        outcome = await shell_tool(shared.work).call_function(shell(command), host)
    assert host.asked == []
    assert shared.sprung() == set()
    assert told(outcome)["metadata"]["exit_code"] == 0, told(outcome)["output"]


async def test_the_index_is_not_written(trapped: Trapped) -> None:
    # Git would note that the file looks different and is the same.
    unchanged = trapped.work / "sub" / "file"
    unchanged.write_text("one\n")
    os.utime(unchanged, (1, 1))
    before = (trapped.work / ".git" / "index").stat().st_mtime_ns
    host = Host(context(trapped.work, approval="untrusted"))
    with fail_after(10):
        await shell_tool(trapped.work).call_function(shell(["git", "status"]), host)
    assert (trapped.work / ".git" / "index").stat().st_mtime_ns == before


async def test_what_changed_is_still_shown(shared: Trapped) -> None:
    host = Host(context(shared.work, approval="untrusted"))
    with fail_after(10):
        tool = shell_tool(shared.work)
        diff = await tool.call_function(shell(["git", "diff", "--", "file"]), host)
        status = await tool.call_function(shell(["git", "status", "--short"]), host)
    assert "-one\n+two\n" in told(diff)["output"]
    assert " M sub/file\n" in told(status)["output"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["status"], {"clean", "fsmonitor", "inner-clean"}),
        (["diff"], {"diff-command"}),
        (["log"], {"gpg"}),
        (["log", "-p"], {"textconv"}),
        (["blame", "file"], {"textconv"}),
        (["log", "-m", "-p", "merged"], {"merge"}),
        (["show", "-m", "merged"], {"merge"}),
    ],
)
def test_the_traps_are_real(trapped: Trapped, arguments: list[str], names: set[str]) -> None:
    subprocess.run(
        ["git", *arguments], cwd=trapped.work, capture_output=True, check=False, timeout=10
    )
    assert names <= trapped.sprung()


@pytest.mark.parametrize("scheme", ["ext", "ssh", "file"])
async def test_missing_objects_are_not_fetched(
    trapped: Trapped, tmp_path: Path, scheme: str
) -> None:
    trap = trapped.trap("transport", "exit 1")
    url = {"ext": f"ext::{trap}", "ssh": "ssh://example.invalid/x", "file": str(tmp_path / "other")}
    work = trapped.work
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": url[scheme],
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": trap,
        "protocol.ext.allow": "always",
        "core.sshCommand": trap,
        "ssh.variant": "simple",
    }
    configure(work, settings)
    blob = git(work, "rev-parse", "HEAD:file")
    (work / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    trapped.trace.unlink(missing_ok=True)

    host = Host(context(work, approval="untrusted"))
    with fail_after(10):
        await shell_tool(work).call_function(shell(["git", "show", "HEAD:file"]), host)
    assert (host.asked, trapped.sprung()) == ([], set())
    # The trap is real.
    subprocess.run(["git", "show", "HEAD:file"], cwd=work, capture_output=True, check=False)
    assert "transport" in trapped.sprung()


async def test_a_folder_laid_out_as_a_bare_repository_is_none(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    bare = tmp_path / "work" / "bare"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare")
    git(bare, "config", "core.bare", "false")
    git(bare, "config", "core.worktree", str(bare))
    git(bare, "config", "core.fsmonitor", f"touch {trace}; false")
    host = Host(context(bare, approval="untrusted"))
    with fail_after(10):
        outcome = await shell_tool(bare).call_function(shell(["git", "status"]), host)
    assert host.asked == []
    assert told(outcome)["metadata"]["exit_code"] == 128
    assert not trace.exists()


async def test_where_git_does_not_tell_its_filters_the_user_is_asked(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".git" / "config").write_text("garbage [")
    host = Host(context(tmp_path, approval="untrusted"), decision="denied")
    with fail_after(10):
        await shell_tool(tmp_path).call_function(shell(["git", "status"]), host)
        await shell_tool(tmp_path).call_function(shell(["git", "branch"]), host)
    assert len(host.asked) == 1


async def test_the_users_own_filters_stay(
    trapped: Trapped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "gitconfig"
    mine.write_text(f'[filter "mine"]\n\tclean = {trapped.trap("mine")}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(mine))
    (trapped.work / ".gitattributes").write_text("* filter=mine\n")
    host = Host(context(trapped.work, approval="untrusted"))
    with fail_after(10):
        await shell_tool(trapped.work).call_function(shell(["git", "status"]), host)
    assert trapped.sprung() == {"mine"}


def test_no_program_is_asked_for_the_references_of_alternates(trapped: Trapped) -> None:
    alternates = trapped.work / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{trapped.work.parent / 'other' / '.git' / 'objects'}\n")

    def log(env: dict[str, str]) -> set[str]:
        subprocess.run(
            ["git", "log", "--no-ext-diff", "--alternate-refs"],
            cwd=trapped.work,
            env=env,
            capture_output=True,
            check=True,
            timeout=10,
        )
        return trapped.sprung()

    assert log(without_programs(os.environ)) == set()
    assert "alternates" in log(dict(os.environ))


def test_only_filters_of_the_repository_are_turned_off() -> None:
    answer = "global\0filter.lfs.clean\0local\0filter.a.b.clean\0worktree\0filter.c.required\0"
    assert filters_of(answer) == {"a.b", "c"}
    assert filters_of("") == frozenset()


def test_settings_are_added_behind_those_that_are_there() -> None:
    env = without_programs(
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}, ["x"]
    )
    count = int(env["GIT_CONFIG_COUNT"])
    settings = {env[f"GIT_CONFIG_KEY_{n}"]: env[f"GIT_CONFIG_VALUE_{n}"] for n in range(count)}
    assert settings["a.b"] == "c"
    assert (settings["filter.x.clean"], settings["filter.x.required"]) == ("", "false")
    assert settings["core.fsmonitor"] == "false"
    assert env["GIT_OPTIONAL_LOCKS"] == "0"
    assert without_programs({"GIT_CONFIG_COUNT": "x"})["GIT_CONFIG_KEY_0"]
    assert "GIT_EXTERNAL_DIFF" not in without_programs({"GIT_EXTERNAL_DIFF": "x"})


def test_the_subcommand_is_found_behind_no_pager() -> None:
    command = git_command(["--no-pager", "diff"])
    assert command is not None
    assert (command.position, command.looks_at_files) == (1, True)
    assert git_command(["--no-pager"]) is None
