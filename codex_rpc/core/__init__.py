"""The submission loop: sessions, turns, history, approvals.

Owns what a session is and the order in which things are recorded, announced and done. Sees
the outside only through the Protocols in `ports.py`; knows no file, socket, process or RPC.
"""
