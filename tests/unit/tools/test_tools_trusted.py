"""What runs without a question, and what does not."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_rpc.tools.programs import PROGRAMS
from codex_rpc.tools.trusted import SHELLS, Surroundings, TrustedCommand, trusted_command

GOLDEN = [
    # What the Codex CLI 0.20 ran unasked under `untrusted` (True), and what it asked about.
    (["ls", "-la"], True),
    (["cat", "x"], True),
    (["git", "status"], True),
    (["git", "log"], True),
    (["bash", "-lc", "ls && pwd"], True),
    (["bash", "-lc", "ls > x"], False),
    (["sed", "-n", "1,5p", "x"], True),
    (["sed", "-i", "s/a/b/", "x"], False),
    (["find", ".", "-name", "x"], True),
    (["find", ".", "-delete"], False),
    (["rg", "x"], True),
    (["echo", "a"], True),
    (["pwd"], True),
    (["true"], True),
    (["grep", "a", "x"], True),
    (["head", "x"], True),
    (["wc", "x"], True),
    (["which", "ls"], True),
    # Cargo runs build scripts.
    (["cargo", "check"], False),
    (["python3", "--version"], False),
    (["bash", "-lc", "cat x | wc -l"], True),
    (["tail", "x"], True),
    (["cd", "/"], True),
    (["nl", "x"], True),
    (["git", "diff"], True),
    (["git", "show"], True),
    (["git", "branch"], True),
    (["bash", "-c", "ls"], False),
    (["bash", "-lc", "ls; pwd"], True),
    (["bash", "-lc", "ls || true"], True),
    (["bash", "-lc", "echo $(ls)"], False),
    (["bash", "-lc", "(ls)"], False),
    (["rg", "--pre", "x", "y"], False),
    (["/bin/ls"], False),
]

PLAIN = [
    ("", False),
    ("ls", True),
    ("ls -R --color=never /", True),
    ("LS", False),
    ("./ls", False),
    ("ls/", False),
    ("/usr/bin/git status", False),
    ("tail -n 20 -f log", True),
    ("grep -rn --include=*.py x src", True),
    ("base64 x", False),
    ("cp a b", False),
    ("env", False),
    ("env ls", False),
    ("find", True),
    ("nice ls", False),
    ("node -v", False),
    ("rm x", False),
    ("sh", False),
    ("sort -k2 -t , -n -r x y", True),
    ("sort --key=2 --unique x", True),
    ("sort", True),
    ("sort -o x y", False),
    ("sort -ox y", False),
    ("sort -no x y", False),
    ("sort y -o x", False),
    ("sort --output=x y", False),
    ("sort --outp x y", False),
    ("sort -T x y", False),
    ("sort --temporary-directory=x y", False),
    ("sort --compress-program=x y", False),
    ("sort --comp x y", False),
    ("sort --files0-from=x", False),
    ("sort --random-source=x y", False),
    ("sort -k", False),
    ("sort -- -o", True),
    ("uniq", True),
    ("uniq -c x", True),
    ("uniq -f 1 x", True),
    ("uniq --count --skip-fields=2 x", True),
    ("uniq x y", False),
    ("uniq -c x y", False),
    ("uniq -- x y", False),
    ("uniq - x", False),
    ("cut -d: -f1 x", True),
    ("tr a-z A-Z", True),
    ("basename a/b", True),
    ("dirname a/b", True),
    ("realpath x", True),
    ("readlink -f x", True),
    ("stat -c %s x", True),
    ("file -b --mime-type x", True),
    ("file -C -m x", False),
    ("file -m x y", False),
    ("file -z x", False),
    ("file -f x", False),
    ("file -p x", False),
    ("file --compile", False),
    ("diff -u a b", True),
    ("diff -ru --exclude=x a b", True),
    ("diff --color=never -U 3 a b", True),
    ("diff -l a b", False),
    ("diff -ul a b", False),
    ("diff --paginate a b", False),
    ("diff --pag a b", False),
    ("sdiff -o x a b", False),
    ("diff3 a b c", False),
    ("cmp a b", True),
    ("comm -12 a b", True),
    ("du -sh x", True),
    ("du --files0-from=x", False),
    ("df -h", True),
    ("wc -l --files0-from=x", False),
    ("wc --files0 x", False),
    ("date", True),
    ("date -u +%F", True),
    ("date --date=yesterday +%F", True),
    ("date -r x", True),
    ("date -s 12:00", False),
    ("date --set=12:00", False),
    ("date -us 12:00", False),
    ("date -f x", False),
    ("date -d dst", False),
    ("date 010112002026", False),
    ("date -u 010112002026", False),
    ("uname -a", True),
    ("uname", True),
    ("uname --machine", True),
    ("uname -S x", False),
    ("uname -Sx", False),
    ("whoami", True),
    ("id -u", True),
    ("groups", True),
    ("nproc", True),
    ("uptime -p", True),
    ("hostname", True),
    ("hostname x", False),
    ("hostname -F x", False),
    ("arch", True),
    ("arch -x86_64 rm", False),
    ("printenv", False),
    ("printenv HOME", False),
    ("set", False),
    ("export", False),
    ("ps", False),
    ("ps auxe", False),
    ("tree -L 2 -a src", True),
    ("tree --noreport", True),
    ("tree -ao x", False),
    ("tree -R -H x -L 1", False),
    ("tree --output x", False),
    # Tree takes `pattern` for -P, and then `x` for -o.
    ("tree -Po pattern x", False),
    ("tree -aL 2", False),
    ("column -t x", True),
    ("rev x", True),
    ("tac x", True),
    ("seq 1 5", True),
    ("expr 1 + 1", True),
    ("false", True),
    ("test -f x", True),
    ("test a = b", True),
    ("test 1 -eq 2", True),
    ("test -v a[$(rm x)]", False),
    ("test -v a", False),
    ("test -R a", False),
    ("test a[$(rm)] -eq 1", False),
    ("test a[`rm`] -eq 1", False),
    ("[ -f x ]", True),
    ("[ -f x", False),
    ("[ -v x ]", False),
    ("[ x[0] -eq 1 ]", False),
    ("printf %s\\n x", True),
    ("printf -v a x", False),
    ("printf -- x", False),
    ("printf %d a[$(rm)]", False),
    ("printf", True),
    ("printf x\\t%% a", True),
    ("printf %-5s|%05.2f|%+d\\n a 1.5 -2 b 3 4", True),
    ("printf %q%b%c a[0] $x `", True),
    ("printf %n PATH", False),
    ("printf a%n%n HOME GIT_CONFIG_COUNT", False),
    ("printf %5n PATH", False),
    ("printf %.3n PATH", False),
    ("printf %hn PATH", False),
    ("printf %1$n PATH", False),
    ("printf %(%n)T PATH", False),
    ("printf %(x)T", False),
    ("printf %*d PATH 1", False),
    ("printf %.*s 1 PATH", False),
    ("printf %B PATH", False),
    ("printf %P x", False),
    ("printf %", False),
    ("printf %5%n PATH", False),
    # To dash these are a percent sign that begins a conversion.
    ("printf \\045n PATH", False),
    ("printf \\x25n PATH", False),
    ("printf \\u0025n PATH", False),
    ("printf x\\", False),
    ("printf %d PATH=0", False),
    ("printf %s%d a 1 b PATH=0", False),
    ("printf %d x", False),
    ("printf %x 0x10", False),
    ("test PATH=0 -eq 1", False),
    ("test 1 -lt PATH=0", False),
    ("test x -eq 1", False),
    ("test -5 -ge +3", True),
    ("test 1 -eq", False),
    ("test -eq 1", False),
    ("test ! 1 -eq PATH", False),
    ("test 1 -eq 1 -a PATH -ne 1", False),
    ("test a -ef b", True),
    ("test -t 1", True),
    ("test -t", True),
    ("test -t PATH=0", False),
    ("[ 1 -gt 2 ]", True),
    ("[ 1 -gt PATH=0 ]", False),
    ("sha256sum x y", True),
    ("sha256sum -c x", False),
    ("sha256sum --check x", False),
    ("md5sum -b x", True),
    ("cksum x", True),
    ("jq .a x", True),
    ("jq -r .a[].b x", True),
    ("jq --indent 2 -S . x", True),
    ("jq env", False),
    ("jq -n $ENV.PATH", False),
    ("jq -n env.PATH", False),
    ('jq -n "\\(env)"', False),
    ("jq -f x", False),
    ("jq --from-file x", False),
    ("jq -rf x", False),
    ("jq -L x .", False),
    ("jq --slurpfile a x .", False),
    ("jq --rawfile a x .", False),
    ("jq --args . x", False),
    ('jq import"x"as$x;$x', False),
    ('jq include"x";.', False),
    ("jq .environment x", True),
    ("od -c x", True),
    ("hexdump -C x", True),
    ("xxd x", False),
    ("cd", False),
    ("cd -", False),
    ("cd a b", False),
    ("cd -P a", False),
    ("command -v ls", True),
    ("command -V ls cat", True),
    ("command ls", False),
    ("command -p ls", False),
    ("type ls", True),
    ("awk 1 x", False),
    ("perl -e 1", False),
    ("less x", False),
    ("man ls", False),
    ("ldd x", False),
    ("strings x", False),
    ("vi x", False),
    ("curl x", False),
    ("dd if=a", False),
    ("split x", False),
    ("shuf -o x y", False),
    ("yes", False),
    ("sleep 1", False),
    ("kill 1", False),
    ("chmod +x a", False),
    ("ln -s a b", False),
    ("mkdir a", False),
    ("mv a b", False),
    ("install a b", False),
    ("make -n", False),
    ("npm ls", False),
    ("pip list", False),
    ("docker ps", False),
    ("ssh x", False),
    ("sudo ls", False),
    ("tee x", False),
    ("time ls", False),
    ("touch x", False),
    ("tree -o x", False),
    ("xargs ls", False),
    ("cargo", False),
    ("cargo check --config x", False),
    ("cargo build", False),
    ("cargo +nightly check", False),
    ("find . -type f -size +10k -mtime -7 -newermt 2020-01-01 -maxdepth 2 -print0", True),
    ("find . -perm -644 ( -name a -o -iname b ) -not -path c -prune -printf %p", True),
    ("find . -exec rm {} ;", False),
    ("find . -execdir rm {} ;", False),
    ("find . -ok rm {} ;", False),
    ("find . -okdir rm {} ;", False),
    ("find . -fprint x", False),
    ("find . -fprint0 x", False),
    ("find . -fprintf x %p", False),
    ("find . -fls x", False),
    ("find . -name x -delete", False),
    ("find . -no-such-predicate", False),
    ("find . --help", False),
    ("rg -n -i --glob !x pattern src", True),
    ("rg --pretty x", True),
    ("rg --pre=x y", False),
    ("rg --pr=x y", False),
    ("rg --hostname-bin=x y", False),
    ("rg --hostname-bin x y", False),
    ("rg --search-zip y", False),
    ("rg -z y", False),
    ("rg -nz y", False),
    ("sed -n 5p", True),
    ("sed -n 5p a b", True),
    ("sed -n 1,5p -i x", False),
    ("sed -n 1,5w x", False),
    ("sed -n 1,5p;w x", False),
    ("sed -n p x", False),
    ("sed -n 1,2,3p x", False),
    ("sed -n 1,$p x", False),
    ("sed -n s/a/b/ep x", False),
    ("sed -n /x/p x", False),
    ("sed 5p x", False),
    ("sed -n", False),
    ("sed -ni 5p x", False),
    ("sed -n \u00b2p x", False),
    ("git", False),
    ("git --no-pager log --oneline -5", True),
    ("git --no-pager", False),
    ("git --paginate log", False),
    ("git -p log", False),
    ("git -c core.pager=x log", False),
    ("git -c core.fsmonitor=x status", False),
    ("git -C .. status", False),
    ("git --exec-path=. status", False),
    ("git --git-dir=x status", False),
    ("git --work-tree=x status", False),
    ("git --config-env=a=b status", False),
    ("git status --short --branch", True),
    ("git status --help", False),
    ("git commit", False),
    ("git checkout x", False),
    ("git config --list", False),
    ("git fetch", False),
    ("git grep -O x", False),
    ("git log -p --stat --since=yesterday -- src", True),
    ("git log --output=x", False),
    ("git log --output x", False),
    ("git log --outp=x", False),
    ("git log --show-signature", False),
    ("git log --format=%G?", False),
    ("git log --format=%+GK", False),
    ("git log --format=%-G?", False),
    ("git log --submod=diff", False),
    ("git log --format=%h", True),
    ("git diff HEAD~1 --stat -- a b", True),
    ("git diff --ext-diff", False),
    ("git diff --ext", False),
    ("git diff --textconv", False),
    ("git diff --output=x", False),
    ("git diff --no-ext-diff", True),
    ("git show HEAD:x", True),
    ("git show --output=x", False),
    ("git show --remerge-diff", False),
    ("git show --remerge", False),
    ("git log -m -p", True),
    ("git log --cc", True),
    ("git log --diff-merges=remerge", False),
    ("git log --diff-merges remerge", False),
    ("git log --diff-m=r", False),
    ("git log --stdin", False),
    ("git log --std", False),
    ("git rev-list --stdin", False),
    ("git log --stat", True),
    ("git show --help", False),
    ("git branch -a -vv", True),
    ("git branch --show-current", True),
    ("git branch --list x*", True),
    ("git branch --contains main", True),
    ("git branch --merged=main --sort=-committerdate", True),
    ("git branch --format=%(refname)", True),
    ("git branch --format=%(signature)", False),
    ("git branch x", False),
    ("git branch -r x", False),
    ("git branch x --list", True),
    ("git branch -l x", False),
    ("git branch -d x", False),
    ("git branch -D x", False),
    ("git branch -m x y", False),
    ("git branch -M x y", False),
    ("git branch -c x y", False),
    ("git branch -f x y", False),
    ("git branch -u x", False),
    ("git branch --set-upstream-to=x", False),
    ("git branch --unset-upstream", False),
    ("git branch --edit-description", False),
    ("git branch --delete x", False),
    ("git log --alternate-refs", False),
    ("git log --submodule=diff -p", False),
    ("git log --submodule=log", True),
    ("git diff --ignore-submodules=none", False),
    ("git log --recurse-submodules", False),
    ("git log --format=%GG", False),
    ("git status -uno", True),
    ("git status -v", False),
    ("git status --verbose", False),
    ("git status --porcelain=v2 --untracked-files=all src", True),
    ("git rev-parse --show-toplevel", True),
    ("git rev-list --count HEAD", True),
    ("git merge-base main HEAD", True),
    ("git ls-files -m", True),
    ("git ls-files --recurse-submodules", False),
    ("git ls-tree -r HEAD", True),
    ("git blame -L 1,5 x", True),
    ("git blame --textconv x", False),
    ("git describe --tags", True),
    ("git describe --dirty", False),
    ("git describe --broken", False),
    ("git shortlog -sn HEAD", True),
    ("git cat-file -p HEAD:x", True),
    ("git cat-file --textconv HEAD:x", False),
    ("git cat-file --filters HEAD:x", False),
    ("git cat-file --batch", False),
    ("git tag", True),
    ("git tag -l v1*", True),
    ("git tag -n", True),
    ("git tag v1", False),
    ("git tag -d v1", False),
    ("git tag -v v1", False),
    ("git tag -a v1", False),
    ("git remote -v", True),
    ("git remote show origin", False),
    ("git remote add x y", False),
    ("git stash list", True),
    ("git stash list -p", False),
    ("git stash", False),
    ("git stash pop", False),
    ("git grep x", False),
    ("git diff-files", False),
    ("git difftool", False),
    ("git archive HEAD", False),
    ("git bisect log", False),
    ("git worktree list", False),
    ("git submodule status", False),
    ("git notes show", False),
    ("git symbolic-ref HEAD x", False),
    ("git update-index --refresh", False),
    ("git --version", False),
]

SCRIPTS = [
    ("ls", True),
    ("ls\npwd", True),
    ("cd src && git status && git diff | head -50", True),
    ("rg -n 'a|b > c' src; sed -n '1,200p' src/x.py", True),
    ("find . -name '*.py' | head", True),
    ("ls *.py", True),
    ("wc -l src/*.py ~/x", True),
    ("rg x src/*", True),
    ("test -f x && cat x", True),
    ("printf '%s\\n' a b | sort | uniq -c | sort -rn", True),
    ("command -v ls && ls", True),
    ("jq '.a | length' x", True),
    ("jq 'env' x", False),
    ("uniq a*", False),
    ("sort src/*.txt", True),
    ("sort *.txt", False),
    ("cat =ls", True),
    ("sort =ls", False),
    ("jq . =ls", False),
    # In these a file's name could become an option.
    ("rg x *", False),
    ("rg x -*", False),
    ("find * -name x", False),
    ("git diff *", False),
    ("ls; rm x", False),
    ("ls && rm x", False),
    ("ls | xargs rm", False),
    ("ls | tee x", False),
    ("ls | sh", False),
    ("eval ls", False),
    ("exec ls", False),
    ("source x", False),
    (". x", False),
    ("command ls", False),
    ("alias ls=rm; ls", False),
    ("bash -lc ls", False),
    ("A=1 ls", False),
    ("PATH=. ls", False),
    ("ls &", False),
    ("ls >/dev/null", False),
    ("ls 2>&1", False),
    ("cat <<E\nx\nE", False),
    ("echo $HOME", False),
    ('echo "$(rm x)"', False),
    ("echo `rm x`", False),
    ("cat <(rm x)", False),
    ("! ls", False),
    ("if ls; then pwd; fi", False),
    ("ls() { rm x; }; ls", False),
    ("/bin/ls", False),
    ("find . -exec rm {} \\;", False),
    ("ls 'unfinished", False),
    ("", False),
]


def make_programs(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all programs that are in the table, and some that are not."""
    others = {"cargo", "python3", "rm", "env", "base64", "cp", "awk", "xxd", "printenv", "sudo"}
    installed = (set(PROGRAMS) | SHELLS | others) - {"cd", "command", "type"}
    return make_programs(tmp_path_factory.mktemp("bin"), *installed)


def surroundings(
    cwd: Path,
    path: str | Path,
    *,
    secrets: tuple[str, ...] = (),
    confined: bool = True,
    **env: str,
) -> Surroundings:
    """`secrets`: real paths below `cwd` that may not be read."""
    hidden = {os.path.realpath(cwd / secret) for secret in secrets}
    return Surroundings(
        cwd=cwd,
        env={"PATH": str(path), "HOME": str(cwd / "home"), **env},
        roots=(cwd,),
        may_read=lambda file: os.path.realpath(file) not in hidden,
        confined=confined,
    )


IsTrusted = Callable[[list[str]], bool]


@pytest.fixture
def is_trusted(tmp_path: Path, programs: Path) -> IsTrusted:
    return lambda argv: trusted_command(argv, surroundings(tmp_path, programs)) is not None


def form(argv: list[str], where: Surroundings) -> TrustedCommand:
    trusted = trusted_command(argv, where)
    assert trusted is not None
    return trusted


@pytest.mark.parametrize(("argv", "trusted"), GOLDEN)
def test_the_golden_commands_are_asked_about_as_they_were(
    is_trusted: IsTrusted, argv: list[str], trusted: bool
) -> None:
    assert is_trusted(argv) is trusted


@pytest.mark.parametrize(("command", "trusted"), PLAIN)
def test_commands(is_trusted: IsTrusted, command: str, trusted: bool) -> None:
    assert is_trusted(command.split(" ") if command else []) is trusted


@pytest.mark.parametrize(("script", "trusted"), SCRIPTS)
@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_scripts(is_trusted: IsTrusted, shell: str, script: str, trusted: bool) -> None:
    assert is_trusted([shell, "-lc", script]) is trusted


def test_the_table_has_what_it_promises() -> None:
    verdicts = [trusted for _, trusted in (*GOLDEN, *PLAIN, *SCRIPTS)]
    assert len(verdicts) >= 150
    assert verdicts.count(True) >= 50


@pytest.mark.parametrize(
    "argv",
    [
        ["bash", "-c", "ls"],
        ["bash", "-ilc", "ls"],
        ["bash", "-l", "-c", "ls"],
        ["bash", "-lc", "ls", "x"],
        ["bash", "-lc"],
        ["/bin/bash", "-lc", "ls"],
        ["fish", "-lc", "ls"],
        ["dash", "-lc", "ls"],
        ["zsh", "-lc", "ls"],
    ],
)
def test_only_dash_lc_of_a_known_shell_is_looked_into(
    is_trusted: IsTrusted, argv: list[str]
) -> None:
    assert not is_trusted(argv)


BUILTIN_PIECES = st.sampled_from(
    [
        *("%n", "%s", "%d", "%5", "%*d", "%-", ".2", "n", "%%", "%(%n)T", "%b", "%q", "\\045n"),
        *("PATH", "HOME", "PATH=0", "1", "-1", "a[HOME=0]", "-eq", "-lt", "-t", "-v", "-n", "!"),
    ]
)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
@pytest.mark.parametrize("shell", ["bash", "sh", "zsh", "ksh", "mksh"])
def test_what_is_built_into_a_shell_assigns_no_variable(shell: str, is_trusted: IsTrusted) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    before = {"PATH": "/p", "HOME": "/h"}
    understood = 0

    @settings(
        deadline=None,
        max_examples=200,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        name=st.sampled_from(["printf", "test", "echo", "pwd", "true", "type", "command"]),
        words=st.lists(st.lists(BUILTIN_PIECES, min_size=1, max_size=2), max_size=4),
    )
    def run(name: str, words: list[list[str]]) -> None:
        nonlocal understood
        script = shlex.join([name, *map("".join, words)])
        if not is_trusted(["sh", "-lc", script]):
            return
        understood += 1
        done = subprocess.run(
            [program, "-c", f'{script} >&2; echo "$PATH,$HOME"'],
            env=before,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
        assert done.stdout == "/p,/h\n", script

    run()
    assert understood > 20


# Where programs are found.


@pytest.mark.parametrize("argv", [["ls"], ["bash", "-lc", "ls"], ["bash", "-lc", "pwd && ls"]])
@pytest.mark.parametrize(
    ("path", "trusted"),
    [
        ("{bin}", True),
        ("{bin}:{work}/bin", True),
        ("/nowhere:{bin}:relative", True),
        ("{work}/empty:{bin}", True),
        ("{work}/bin:{bin}", False),
        ("{work}/../{name}/bin:{bin}", False),
        ("{link}:{bin}", False),
        ("{linked}:{bin}", False),
        (".:{bin}", False),
        ("bin:{bin}", False),
        (":{bin}", False),
        ("~/bin:{bin}", False),
        ("/nowhere", False),
        ("", False),
    ],
)
def test_programs_have_to_come_from_where_the_session_cannot_put_them(
    tmp_path: Path, programs: Path, argv: list[str], path: str, trusted: bool
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "empty").mkdir()
    mine = make_programs(work / "bin", "ls")
    (tmp_path / "link").symlink_to(mine)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "ls").symlink_to(mine / "ls")
    where = surroundings(
        work,
        path.format(bin=programs, work=work, name=work.name, link=tmp_path / "link", linked=linked),
    )
    assert (trusted_command(argv, where) is not None) is trusted


def test_a_root_is_meant_under_all_its_names(tmp_path: Path, programs: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    make_programs(real / "bin", "ls")
    (tmp_path / "link").symlink_to(real)
    where = surroundings(tmp_path / "elsewhere", f"{real / 'bin'}:{programs}")
    assert trusted_command(["ls"], where)
    assert trusted_command(["ls"], evolve(where, roots=(tmp_path / "link",))) is None


def test_the_shell_itself_has_to_be_found_as_well(tmp_path: Path, programs: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    mine = make_programs(work / "bin", "bash")
    where = surroundings(work, f"{mine}:{programs}")
    assert trusted_command(["ls"], where)
    assert trusted_command(["bash", "-lc", "ls"], where) is None
    assert trusted_command(["sh", "-lc", "ls"], where)


def test_what_shells_have_built_in_is_not_looked_for(tmp_path: Path) -> None:
    only_shell = make_programs(tmp_path / "bin", "sh")
    work = tmp_path / "work"
    work.mkdir()
    where = surroundings(work, only_shell)
    assert trusted_command(["sh", "-lc", "cd x && pwd && test -f y && echo z"], where)
    assert trusted_command(["sh", "-lc", "ls"], where) is None


def test_a_program_named_like_a_builtin_is_looked_at(tmp_path: Path, programs: Path) -> None:
    mine = make_programs(tmp_path / "bin", "cd")
    assert trusted_command(["cd", "/"], surroundings(tmp_path, programs))
    assert trusted_command(["cd", "/"], surroundings(tmp_path, f"{programs}:{mine}")) is None
    assert trusted_command(["cd", "/"], surroundings(tmp_path, f"{programs}:.")) is None


def test_a_program_that_may_not_be_executed_is_passed_over(tmp_path: Path, programs: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    mine = make_programs(work / "bin", "ls")
    (mine / "ls").chmod(0o644)
    assert trusted_command(["ls"], surroundings(work, f"{mine}:{programs}"))


# What arguments lead to.

SECRETS = ("home/.ssh/id", ".env", "sub/.env", "keys")

DENIED = [
    ("cat .env", False),
    ("cat ./.env", False),
    ("cat sub/../.env", False),
    ("cat {work}/.env", False),
    ("cat link", False),
    ("cat folder-link/.env", False),
    ("cat other sub/.env", False),
    ("cat other", True),
    ("cat sub/.envrc", True),
    ("head -n 5 .env", False),
    ("grep x .env", False),
    ("grep -f .env x", False),
    ("grep -f.env x", False),
    ("grep -rf.env x", False),
    ("grep --file=.env x", False),
    ("grep --exclude-from=.env x", False),
    ("rg -f .env x", False),
    ("rg --ignore-file=.env x", False),
    ("sed -n 1p .env", False),
    ("sort .env", False),
    ("sort -- .env", False),
    ("diff other .env", False),
    ("diff -X.env a b", False),
    ("jq . .env", False),
    ("sha256sum .env", False),
    ("git diff --no-index other .env", False),
    ("git diff -O.env", False),
    ("git show HEAD:.env", False),
    ("git show HEAD:sub/.env", False),
    ("git log -p -- .env", False),
    ("git diff :(top).env", False),
    ("git cat-file -p HEAD:.env", False),
    ("git blame .env", False),
    ("ls .env", False),
    ("stat .env", False),
    ("ls keys", False),
    ("find keys", False),
    # These only look at the words.
    ("echo .env", True),
    ("basename sub/.env", True),
    ("seq 1 2", True),
    # What tells about processes, terminals and disks.
    ("cat /proc/self/environ", False),
    ("cat /proc/1/environ", False),
    ("cat /dev/tty", False),
    ("cat /dev/fd/0", False),
    ("cat proc/self/environ", False),
    ("grep -r x /proc", False),
    ("grep -r x /", False),
    ("cat /proc/cpuinfo", True),
    ("diff /dev/null other", True),
    ("ls /proc/self", True),
    ("cat " + "x" * 5_000, False),
    ("cat " + "x" * 300, True),
]


@pytest.fixture
def secretive(tmp_path: Path, programs: Path) -> Surroundings:
    """A folder with files that may not be read."""
    work = tmp_path / "work"
    for secret in SECRETS:
        (work / secret).parent.mkdir(parents=True, exist_ok=True)
        (work / secret).write_text("secret")
    (work / "other").write_text("")
    (work / "link").symlink_to("sub/../sub/.env")
    (work / "folder-link").symlink_to("sub")
    (work / "proc").symlink_to("/proc")
    (work / "sub" / "up").symlink_to(work)
    return surroundings(work, programs, secrets=SECRETS)


@pytest.mark.parametrize(("command", "trusted"), DENIED)
def test_an_argument_that_leads_to_a_denied_file_is_asked_about(
    secretive: Surroundings, command: str, trusted: bool
) -> None:
    argv = command.format(work=secretive.cwd).split(" ")
    assert (trusted_command(argv, secretive) is not None) is trusted


@pytest.mark.parametrize(
    ("script", "trusted"),
    [
        ("cat other", True),
        ("ls && cat .env", False),
        ("cd sub && cat .env", False),
        ("cd home && cat .env", False),
        ("cd home/.ssh && ls && head id", False),
        ("cd home; cd .ssh; head id", False),
        ("cd home && cat other", True),
        # Whether this `cd` works is not known.
        ("cd nowhere; cat .env", False),
        ("cd home && cd ../sub && cat .env", False),
        # By name this leads to the work folder, on the disk to `sub`'s parent; it is the same.
        ("cd sub/up/sub && cat ../.env", False),
        ("cd folder-link && cat ../other", True),
        ("cd folder-link/.. && cat .env", False),
        ("cd {work} && cat .env", False),
        ("cd / && cat {relative}/.env", False),
        # Where these lead depends on the shell's state.
        ("cd && cat x", False),
        ("cd - && cat x", False),
        ("cd ~ && cat x", False),
        ("cd h* && cat x", False),
        ("cat ~/.ssh/id", False),
        ("cat ~/other", True),
        ("cat =.env", False),
        # The sandbox hides these from what a pattern finds.
        ("cat sub/.e*", True),
        ("grep x keys/*", False),
        ("cat /proc/self/env*", False),
        ("cat /p*/self/environ", False),
        ("cat ../../../../../../../../p*/self/environ", False),
        ("; ".join(f"cd a{n}" for n in range(12)), False),
    ],
)
def test_a_script_is_followed_into_its_folders(
    secretive: Surroundings, script: str, trusted: bool
) -> None:
    script = script.format(work=secretive.cwd, relative=secretive.cwd.relative_to("/"))
    assert (trusted_command(["bash", "-lc", script], secretive) is not None) is trusted


def test_what_searches_where_it_is_must_be_allowed_to_read_there(
    tmp_path: Path, programs: Path
) -> None:
    where = evolve(surroundings(Path("/"), programs), roots=(tmp_path,))
    assert trusted_command(["ls"], where)
    assert trusted_command(["grep", "x", "etc/hosts"], where)
    assert trusted_command(["grep", "-r", "x"], where) is None
    assert trusted_command(["rg", "x"], where) is None


@pytest.mark.parametrize(
    ("argv", "trusted"),
    [
        (["cat", "other"], True),
        (["grep", "x", "other"], True),
        (["grep", "-r", "x"], False),
        (["grep", "-nR", "x"], False),
        (["grep", "--recursive", "x"], False),
        (["grep", "--directories=recurse", "x"], False),
        (["rg", "x"], False),
        (["diff", "-r", "a", "b"], False),
        (["bash", "-lc", "cat o*"], False),
        (["bash", "-lc", "ls *"], True),
        (["bash", "-lc", "find . -name 'x*'"], True),
        (["find", "."], True),
        (["git", "status"], True),
        (["git", "diff", "other"], True),
        (["git", "show", "a", "b"], True),
        (["git", "diff", "--no-index", "a", "b"], False),
        (["git", "diff", "--no-ind", "a", "b"], False),
        (["git", "--no-pager", "diff", "--no-index", "--", "a", "b"], False),
        # Outside of a repository, or with one of them outside, that is the same.
        (["git", "diff", "--stat", "a", "/b"], False),
        (["git", "diff", "--", "a", "b"], False),
        (["bash", "-lc", "git diff --no-index a b"], False),
    ],
)
def test_where_nothing_hides_files_nothing_is_searched_for_them(
    tmp_path: Path, programs: Path, argv: list[str], trusted: bool
) -> None:
    where = surroundings(tmp_path, programs, confined=False)
    assert (trusted_command(argv, where) is not None) is trusted


# The form in which it runs.


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["ls", "-l"], ["ls", "-l"]),
        (
            ["git", "diff", "HEAD"],
            ["git", "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "HEAD"],
        ),
        (
            ["git", "--no-pager", "log"],
            ["git", "--no-pager", "log", "--no-ext-diff", "--no-textconv"],
        ),
        (["git", "branch"], ["git", "branch"]),
        (["git", "status"], ["git", "status", "--ignore-submodules=dirty"]),
        (["bash", "-lc", "ls"], ["bash", "-p", "-c", "ls"]),
        (["sh", "-lc", "ls"], ["sh", "-c", "ls"]),
        (
            ["sh", "-lc", "echo 'é' && git  'show' \"HEAD\"|head;git log; git branch"],
            [
                "sh",
                "-c",
                (
                    "echo 'é' && git  'show' --no-ext-diff --no-textconv \"HEAD\"|head;"
                    "git log --no-ext-diff --no-textconv; git branch"
                ),
            ],
        ),
    ],
)
def test_shells_and_git_are_kept_from_doing_more(
    tmp_path: Path, programs: Path, argv: list[str], expected: list[str]
) -> None:
    assert list(form(argv, surroundings(tmp_path, programs)).argv) == expected


def test_variables_that_make_a_shell_do_more_are_left_out(tmp_path: Path, programs: Path) -> None:
    dangerous = {
        *("BASH_ENV", "ENV", "CDPATH", "FPATH", "BASH_FUNC_ls%%", "RIPGREP_CONFIG_PATH"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "GCONV_PATH"),
        *("LOCPATH", "NLSPATH", "MAGIC", "PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT"),
        *("OPENSSL_CONF", "RUBYOPT", "NODE_OPTIONS"),
    }
    where = surroundings(tmp_path, programs, LANG="C", **dict.fromkeys(dangerous, "x"))
    assert set(form(["ls"], where).env) == {"PATH", "HOME", "LANG"}


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_a_home_folder_that_is_not_known_leads_anywhere(
    tmp_path: Path, programs: Path, home: str | None
) -> None:
    where = surroundings(tmp_path, programs)
    env = {**where.env, "HOME": home} if home is not None else {"PATH": str(programs)}
    nowhere = evolve(where, env=env)
    assert trusted_command(["sh", "-lc", "cat ~/x"], where)
    assert trusted_command(["sh", "-lc", "cat ~/x"], nowhere) is None
    assert trusted_command(["cat", "~/x"], nowhere)


def test_it_is_known_in_which_folders_git_will_compare_files(
    tmp_path: Path, programs: Path
) -> None:
    where = surroundings(tmp_path, programs)
    assert form(["git", "log"], where).repositories == ()
    assert form(["git", "status"], where).repositories == (tmp_path,)
    assert set(form(["sh", "-lc", "cd a && git diff"], where).repositories) == {
        tmp_path,
        tmp_path / "a",
    }


def test_what_no_program_could_be_given_is_not_trusted(is_trusted: IsTrusted) -> None:
    assert not is_trusted(["cat", "a\0b"])
    assert not is_trusted([])
