"""Attempts on what is protected inside writable roots: hooks, settings, sessions."""

from __future__ import annotations

from .attempt import WRITING, Attempt, shell
from .stage import Stage


def _state_inside(stage: Stage) -> None:
    """CODEX_HOME lies two folders below a writable root."""
    stage.move_state(stage.work / "sub" / "state")


ROWS = (
    Attempt(
        name="add a hook (.git/hooks)",
        argv=shell("echo x > .git/hooks/post-commit"),
        gap="protected",
    ),
    Attempt(
        name="change a hook",
        argv=shell("echo x >> .git/hooks/pre-commit"),
        gap="protected",
    ),
    Attempt(
        name="have git run something (.git/config)",
        argv=shell("git config core.fsmonitor /bin/true; echo x >> .git/config"),
        gap="protected",
    ),
    Attempt(
        name="rename .git and make another",
        argv=shell("mv .git old; mkdir -p .git/hooks; echo x > .git/hooks/post-commit"),
        gap="protected",
    ),
    Attempt(name="remove .git", argv=shell("rm -rf .git"), gap="protected"),
    Attempt(
        name="remove .git and put a link there",
        argv=shell('rm -rf .git; ln -sfn src .git; ln -sfn "$WORK/src" "$WORK/.git"'),
        gap="protected",
    ),
    Attempt(
        name="reach .git by another name",
        argv=shell(
            'ln -s .git g; echo x > g/hooks/post-commit; echo x > "/proc/self/cwd/.git/hooks/y"'
        ),
        gap="protected",
    ),
    Attempt(
        name="make a missing .git, with a hook",
        argv=shell('mkdir -p "$ROOT2/.git/hooks"; echo x > "$ROOT2/.git/hooks/post-commit"'),
        gap="protected",
    ),
    Attempt(
        name="make a missing .git by `git init`",
        argv=shell('git init -q "$ROOT2"'),
        gap="protected",
    ),
    Attempt(
        name="make a missing .git as a file or a link",
        argv=shell(
            'echo "gitdir: $ROOT2/x" > "$ROOT2/.git"; ln -s src "$ROOT2/.git"; '
            'mkdir "$ROOT2/x"; mv "$ROOT2/x" "$ROOT2/.git"; mv -T "$ROOT2/x" "$ROOT2/.git"'
        ),
        gap="protected",
    ),
    Attempt(
        name="replace a root inside a root, with a hook",
        argv=shell(
            "mv inner gone; mkdir -p inner/.git/hooks; echo x > inner/.git/hooks/post-commit"
        ),
        gap="protected",
    ),
    Attempt(
        name="replace a .git that is a file",
        argv=shell(
            'cd "$TREE"; echo "gitdir: src" > .git; rm -f .git; mv file .git; mv -f file .git'
        ),
        gap="protected",
    ),
    Attempt(
        name="write where a .git file points to",
        argv=shell('echo x > "$TREE/store/worktrees/tree/config.worktree"'),
        gap="protected",
    ),
    Attempt(
        name="add a hook where a .git file points to",
        argv=shell('echo x > "$TREE/store/hooks/post-commit"; echo x >> "$TREE/store/config"'),
        gap="protected",
    ),
    Attempt(
        name="replace the folder where a .git file points to",
        argv=shell('cd "$TREE"; mv store old; mkdir -p store/hooks; echo x > store/hooks/x'),
        gap="protected",
    ),
    Attempt(
        name="add a hook to a repository further down",
        argv=shell("echo x > sub/.git/hooks/post-commit && echo REACHED"),
        limit="only the .git of a root itself is protected",
        limited_in=WRITING,
    ),
    Attempt(
        name="change .codex/config.toml",
        argv=shell("echo x >> .codex/config.toml; echo x > .codex/new"),
        gap="protected",
    ),
    Attempt(
        name="make a missing .codex",
        argv=shell('mkdir "$ROOT2/.codex"; echo x > "$ROOT2/.codex/config.toml"'),
        gap="protected",
    ),
    Attempt(
        name="rename .codex and make another",
        argv=shell("mv .codex old; mkdir .codex; echo x > .codex/config.toml"),
        gap="protected",
    ),
    Attempt(
        name="change config.toml of CODEX_HOME",
        argv=shell('echo x >> "$STATE/config.toml"'),
    ),
    Attempt(
        name="change a session's file",
        argv=shell('for f in "$STATE"/sessions/*/*/*/*.jsonl; do echo x >> "$f"; done'),
    ),
    Attempt(
        name="remove a session's file",
        argv=shell('rm -rf "$STATE/sessions"'),
    ),
    Attempt(
        name="add to CODEX_HOME",
        argv=shell('echo x > "$STATE/AGENTS.md"; echo x >> "$STATE/history.jsonl"'),
    ),
    Attempt(
        name="change config.toml of a CODEX_HOME in a root",
        argv=shell('echo x >> "$STATE/config.toml"'),
        arrange=_state_inside,
        gap="protected",
    ),
    Attempt(
        name="change a session's file in a root",
        argv=shell('for f in "$STATE"/sessions/*/*/*/*.jsonl; do echo x >> "$f"; done'),
        arrange=_state_inside,
        gap="protected",
    ),
    Attempt(
        name="remove a session's file in a root",
        argv=shell('rm -rf "$STATE/sessions"; rm -rf "$STATE"'),
        arrange=_state_inside,
        gap="protected",
    ),
    Attempt(
        name="add to a CODEX_HOME in a root",
        argv=shell('echo x > "$STATE/AGENTS.md"'),
        arrange=_state_inside,
        gap="protected",
    ),
    Attempt(
        name="rename a CODEX_HOME in a root and make another",
        argv=shell('mv "$STATE" old; mkdir -p "$STATE"; echo x > "$STATE/config.toml"'),
        arrange=_state_inside,
        gap="protected",
    ),
    Attempt(
        name="rename the folder above a CODEX_HOME in a root",
        argv=shell('mv sub old; mkdir -p "$STATE"; echo x > "$STATE/config.toml"'),
        arrange=_state_inside,
        gap="protected",
    ),
)
