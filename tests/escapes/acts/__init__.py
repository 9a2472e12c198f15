"""What a command tries, where a line of shell does not suffice.

The modules are scripts: `python -E -s -S files.py NAME`. They import nothing but the standard
library and `kernel` beside them, take what they need from the environment, and say `attempting`
before they do anything, so that a command that never ran is not taken for one that was held.
"""
