"""The stdio endpoint: framing, dispatch, the outbox, and the `session/*` methods.

Owns JSON-RPC and the process's standard input and output. Knows sessions only through core's
manager, and neither files, models nor tools.
"""
