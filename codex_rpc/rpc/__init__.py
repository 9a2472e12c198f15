"""The stdio endpoint: framing, dispatch, the outbox, the `session/*` methods, and LSP.

Owns JSON-RPC and the process's standard input and output. Knows sessions only through core's
manager, and neither models nor tools; of files only which are open in the editor.
"""
