"""The Agent Client Protocol on the same endpoint and core, for editors without a plugin of ours.

Sees core, the vocabulary and `rpc`'s endpoint; never session files, models, tools or sandboxes.
"""
