"""The vocabulary: ids, ops, events, response items, records, policies, errors, and the wire shapes.

Owns names and shapes, one cattrs converter and the JSON Schema made from them. It knows no
I/O and no clock, and imports nothing of the project. `PROTOCOL.md` in this folder is the
contract that these modules implement.
"""
