"""How much of what grows has been told, so that at its end the rest is."""

from __future__ import annotations

from codex_rpc.acp.content import shortened

TAIL = 64
"""Characters of what was streamed that are compared with what was recorded."""


class Growing:
    """Messages of which some has been told: how many characters of each."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def more(self, message_id: str, text: str) -> None:
        """`text` is told."""
        self._told[message_id] = self._told.get(message_id, 0) + len(text)

    def rest(self, message_id: str, whole: str) -> str:
        """What of the whole message was not told."""
        return whole[self._told.pop(message_id, 0) :]

    def forget(self) -> None:
        """What was told of messages that are not whole is void."""
        self._told.clear()


class Output:
    """The output of a running command, as far as it was told: how much, and its end."""

    def __init__(self) -> None:
        self._told = 0
        self._tail = ""

    def more(self, text: str) -> None:
        """`text` is told."""
        self._told += len(text)
        self._tail = (self._tail + text)[-TAIL:]

    def rest(self, recorded: str) -> str:
        """What is recorded behind what was told; "" if that is not found."""
        if not self._told:
            return shortened(recorded)
        end = self._told
        if recorded[max(0, end - len(self._tail)) : end] != self._tail:
            # Of a long output the middle is not recorded, and of two runs only the second.
            end = recorded.rfind(self._tail) + len(self._tail)
            if end < len(self._tail):
                return ""
        return recorded[end:]
