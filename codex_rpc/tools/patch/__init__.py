"""Edits of files that the model writes as patches: from the patch's text to the changed files.

`grammar` reads a patch, `matching` finds its lines in a file, `plan` works out what is to be
written, `writing` writes it, `turn_diff` says what a turn has changed, `tool` is the call.
"""
