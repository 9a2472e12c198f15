"""What codex-rpc costs next to other programs of its kind: `python -m tests.benchmarks --help`.

A benchmark is a module in `rows`: what is done, which figures come of it, and which mark each is
to reach. The programs are spoken to by the drivers, all alike; the model is a process of its own
(`model.py`), the same for all. Nothing here judges a test run: figures depend on the machine.
"""
