"""Edits of files that the model writes as patches: from the patch's text to the changed files.

`grammar` reads a patch, `finding` looks at a file, `matching` finds the patch's lines in it, `plan`
works out what is to become of all files, `permission` judges that, `questions` and `review` ask the
user. `routes` sends each change to the editor or to the disk, `applying` has them made, `writing`
makes those on disk. `turn_diff` says what a turn has changed, `tool` is the call.
"""
