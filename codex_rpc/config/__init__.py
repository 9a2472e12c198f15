"""config.toml, profiles, `-c key=value`, AGENTS.md and credentials, read into one frozen `Config`.

Owns which keys exist, what each accepts, and which of several sources wins. It reads small
files and the environment it is handed; it knows nothing of sessions, models or tools, and
writes nothing.

- `settings`: the result.
- `loader`: sources in, `Config` out; `layers`: which source wins.
- `keys`: the table of known keys; `schema`: how a value is held against it.
- `cli_overrides`: `-c key=value`.
- `providers`: the built-in model providers, and the user's; `credentials`: their API keys.
- `project_docs`: the AGENTS.md texts.
"""
