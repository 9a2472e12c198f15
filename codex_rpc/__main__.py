"""`python -m codex_rpc` is the `codex-rpc` command."""

from codex_rpc.cli.main import main

if __name__ == "__main__":
    main()
