"""The `codex-rpc` command and the composition root: the one place that knows everything.

Only this room reads the process's environment and arguments. It plugs the other rooms
together and holds no logic of theirs.
"""
