"""Tools of MCP servers: programs and addresses that the user has configured.

`servers` is the door for everyone else. It imports nothing of the `mcp` package: importing that
takes longer than everything else together, and only who has configured a server pays for it, in
a thread. What needs the package is in `connection`. The way down: `servers` (all of them, and
the calls) > `server` (one, from its start over a restart to its end) > `connection` (one
connection) > `transports` > `program` (a process behind one).
"""
