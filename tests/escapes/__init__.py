"""Attempts to get out of the sandbox: a table, and what tries each row against the real thing.

    python -m tests.escapes                 every row, printed as a report
    python -m tests.escapes --rows symlink  the rows whose name contains a word

A row (`attempt.Attempt`) is one command and what it needs around it. Whether it got out is never
for the command to say: after it, one look at everything outside (`stage`, `outsiders`) finds the
file that changed, the listener that was reached, the secret in the output, the process that
died or that still lives. Each row is first tried without any sandbox, as a control: an attempt
that cannot succeed proves nothing by failing.
"""
