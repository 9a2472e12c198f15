"""Which commands are patches, and which are not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.tools.patch.invocation import PatchCall, patch_of_command

HERE = Path("/w/here")
BODY = '*** Begin Patch\n*** Add File: x\n+it\'s "$HOME" `id` \\ \n*** End Patch\n'
TAME = "*** Begin Patch\n*** Delete File: x\n*** End Patch\n"


def of_script(script: str, shell: str = "bash", option: str = "-lc") -> PatchCall | None:
    return patch_of_command([shell, option, script], HERE)


@pytest.mark.parametrize("program", ["apply_patch", "applypatch"])
def test_a_direct_call_is_a_patch(program: str) -> None:
    assert patch_of_command([program, BODY], HERE) == PatchCall(BODY, HERE)


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh", "/bin/bash", "/usr/bin/zsh"])
@pytest.mark.parametrize("option", ["-c", "-lc"])
def test_a_shell_that_only_applies_a_patch_is_a_patch(shell: str, option: str) -> None:
    script = f"apply_patch <<'EOF'\n{BODY}EOF\n"
    assert of_script(script, shell, option) == PatchCall(BODY, HERE)


@pytest.mark.parametrize(
    ("script", "body", "cwd"),
    [
        (f"apply_patch <<'EOF'\n{BODY}EOF", BODY, "/w/here"),
        (f'\n  applypatch<<"PATCH" \n{BODY}PATCH\n\n', BODY, "/w/here"),
        (f"apply_patch << EOF\n{TAME}EOF\n", TAME, "/w/here"),
        (f"cd sub && apply_patch <<'EOF'\n{BODY}EOF\n", BODY, "/w/here/sub"),
        (f"cd 'a b'&&apply_patch <<'EOF'\n{BODY}EOF\n", BODY, "/w/here/a b"),
        (f'cd "a && b" && apply_patch <<EOF\n{TAME}EOF\n', TAME, "/w/here/a && b"),
        (f"cd /abs/x && apply_patch <<'EOF'\n{BODY}EOF\n", BODY, "/abs/x"),
        (f"cd .. && apply_patch <<'EOF'\n{BODY}EOF\n", BODY, "/w"),
        # An indented delimiter is a line of the patch.
        (f"apply_patch <<'EOF'\n EOF\n{BODY}EOF\n", f" EOF\n{BODY}", "/w/here"),
    ],
)
def test_a_script_is_a_patch(script: str, body: str, cwd: str) -> None:
    assert of_script(script) == PatchCall(body, Path(cwd))


@pytest.mark.parametrize(
    "argv",
    [
        ["apply_patch"],
        ["apply_patch", BODY, "more"],
        ["/tmp/apply_patch", BODY],
        ["echo", "apply_patch"],
        ["bash", "-lc", "echo apply_patch"],
        ["bash", "-x", f"apply_patch <<'EOF'\n{BODY}EOF\n"],
        ["/tmp/bash", "-lc", f"apply_patch <<'EOF'\n{BODY}EOF\n"],
        ["bash", "-lc", f"apply_patch <<'EOF'\n{BODY}EOF\n", "x"],
        [],
    ],
)
def test_other_commands_are_no_patches(argv: list[str]) -> None:
    assert patch_of_command(argv, HERE) is None


@pytest.mark.parametrize(
    "script",
    [
        # What a shell would do besides.
        f"apply_patch <<'EOF'\n{BODY}EOF\nrm -rf x\n",
        f"apply_patch <<'EOF' && rm x\n{BODY}EOF\n",
        f"apply_patch <<'EOF' > out\n{BODY}EOF\n",
        f"apply_patch <<'EOF' | tee x\n{BODY}EOF\n",
        f"apply_patch <<'EOF' &\n{BODY}EOF\n",
        f"apply_patch <<'EOF' # x\n{BODY}EOF\n",
        f"apply_patch -v <<'EOF'\n{BODY}EOF\n",
        f"rm x && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"rm x; apply_patch <<'EOF'\n{BODY}EOF\n",
        f"rm x\napply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a && cd b && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a || apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a; apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a; && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a & apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a &&& apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a \\&& apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd a # && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd 'a && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"X=1 apply_patch <<'EOF'\n{BODY}EOF\n",
        f"(apply_patch <<'EOF'\n{BODY}EOF\n)",
        f"! apply_patch <<'EOF'\n{BODY}EOF\n",
        # Where a shell would go is not known.
        f"cd && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd - && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd '' && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd ~ && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd ~/x && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd $HOME && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd \"$HOME\" && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd $(pwd) && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd su* && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd {{a,b}} && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"cd -P x && apply_patch <<'EOF'\n{BODY}EOF\n",
        f"&& apply_patch <<'EOF'\n{BODY}EOF\n",
        # What would reach the program is not the text.
        f"apply_patch <<EOF\n{BODY}EOF\n",
        "apply_patch <<EOF\n$x\nEOF\n",
        "apply_patch <<EOF\n`id`\nEOF\n",
        "apply_patch <<EOF\na\\\nb\nEOF\n",
        f"apply_patch <<-'EOF'\n{BODY}EOF\n",
        f"apply_patch <<<'EOF'\n{BODY}EOF\n",
        f"apply_patch <<$'EOF'\n{BODY}EOF\n",
        f"apply_patch <<E'OF'\n{BODY}EOF\n",
        f"apply_patch <<'EOF'\n{BODY}",
        f"apply_patch <<'EOF'\n{BODY}EOF \n",
        "apply_patch <<'EOF'",
        "apply_patch 'text'",
        "apply_patch",
    ],
)
def test_scripts_that_do_more_or_less_are_no_patches(script: str) -> None:
    assert of_script(script) is None


PIECES = st.sampled_from(
    [
        *("apply_patch", "applypatch", "cd", "sub", " ", "&&", ";", "|", "<<", "<<-", "EOF", "\n"),
        *("'EOF'", '"EOF"', "'", '"', "$x", "`id`", "\\", "#", "text", "- ", "(", ")", "\t", "*"),
    ]
)
NORMAL = ["cd sub", " && ", "apply_patch <<'EOF'\n", "text\n", "$x\n", "EOF\n"]


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_shell_would_give_the_program_the_same_text(data: st.DataObject) -> None:
    pieces = list(NORMAL)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(pieces)))
        upto = data.draw(st.integers(at, min(len(pieces), at + 1)))
        pieces[at:upto] = [data.draw(PIECES)]
    script = "".join(pieces)
    call = of_script(script)
    if call is None:
        return
    # Both programs are functions that say where they are and what they read.
    spy = "cd() { D=$1; }; apply_patch() { printf '%s|' \"$D\"; cat; }; "
    spy += 'applypatch() { apply_patch "$@"; }; '
    done = subprocess.run(
        ["bash", "-c", spy + script], capture_output=True, text=True, timeout=5, check=False
    )
    folder = "" if call.cwd == HERE else str(call.cwd.relative_to(HERE))
    assert (done.stdout, done.returncode) == (f"{folder}|{call.patch}", 0)
