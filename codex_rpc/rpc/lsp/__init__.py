"""The editor's side of the connection: what the Language Server Protocol adds to it.

`gate.py` is always there and light. What imports pygls and lsprotocol (`engine.py`,
`documents.py`, `editing.py`) is loaded only for a client that has said that it speaks LSP.
"""
