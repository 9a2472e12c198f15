"""What the model may call: shell, and local images that the user attaches.

Each tool is one module and one line in `box`'s table. Tools ask the turn that runs them for
everything else (`protocol.tools.ToolHost`): they know neither the session nor its file.
"""
