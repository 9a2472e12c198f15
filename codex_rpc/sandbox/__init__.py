"""Commands under a policy: what confines them, what they see, and how all of them ends.

Owns process groups and their death. It does not know who asked for a command, whether the
user agreed, nor what becomes of the output.
"""
