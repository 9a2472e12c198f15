"""A server that merges nothing: each input is answered with N deltas, each in a message of its own.

    python flood.py N

They come as fast as they are read. The real server sends fewer and longer ones to whoever is slow.
"""

import json
import sys

SESSION = "00000000-0000-4000-8000-000000000000"


def read() -> dict | None:
    """The next message; None at the end."""
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length)) if length else None


def frame(message: dict) -> bytes:
    """A message as bytes."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def write(*messages: dict) -> None:
    """Send messages at once."""
    sys.stdout.buffer.write(b"".join(map(frame, messages)))
    sys.stdout.buffer.flush()


def turn(count: int, submission: str, items: list) -> list[dict]:
    """All events of a turn."""
    words = [f"tok{i} " if i % 20 else "\n" for i in range(count)]
    item = {"item_id": "msg_1"}
    msgs = [
        {"type": "user_message", "items": items, "turn_id": submission},
        {"type": "task_started"},
        *({"type": "agent_message_delta", **item, "delta": word} for word in words),
        {"type": "agent_message", **item, "message": "".join(words)},
        {"type": "task_complete", "last_agent_message": "".join(words)},
    ]
    return [
        {
            "method": "session/event",
            "params": {"sessionId": SESSION, "seq": seq, "id": submission, "msg": msg},
        }
        for seq, msg in enumerate(msgs, 1)
    ]


def main() -> None:
    """Serve until the end of stdin."""
    count = int(sys.argv[1])
    while (message := read()) is not None:
        method, params = message.get("method"), message.get("params")
        if "id" not in message or method is None:
            if method == "exit":
                return
            continue
        result: dict | None = {}
        events: list[dict] = []
        if method == "initialize":
            result = {"capabilities": {}}
        elif method == "session/configure":
            result = {"sessionId": SESSION, "model": "flood", "cwd": params["cwd"], "itemCount": 0}
        elif method == "session/submit":
            result = {"id": params["id"]}
            events = turn(count, params["id"], params["op"]["items"])
        elif method == "shutdown":
            result = None
        write({"id": message["id"], "result": result}, *events)


main()
