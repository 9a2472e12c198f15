"""Session files and the message history: the only code that reads or writes them.

It knows formats, folders, locks and system calls. It does not know what a turn is, who asks,
or over which wire: the session loop decides what is recorded, and gets vocabulary back.
"""
