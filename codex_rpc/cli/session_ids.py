"""Sessions as people name them: by the beginning of an id, or as the last one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from codex_rpc.core.ports import RolloutStore
from codex_rpc.protocol.errors import RolloutNotFound
from codex_rpc.protocol.records import SessionQuery

LAST = "last"
SHORTEST = 8
MAX_NAMED = 5
_PAGE = 20


class ShortIds:
    """Ids cut to what tells them from all others."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = sorted(set(ids))

    def short(self, session_id: str) -> str:
        """The beginning of an id that no other one has; the whole of what is no known id."""
        at = bisect_left(self._ids, session_id)
        if self._ids[at : at + 1] != [session_id]:
            return session_id
        beside = [*self._ids[max(at - 1, 0) : at], *self._ids[at + 1 : at + 2]]
        length = max([SHORTEST, *(_common(session_id, other) + 1 for other in beside)])
        # An id that ends in a hyphen looks as if something were missing.
        return session_id[: length + (session_id[length - 1 : length] == "-")]


async def short_ids(store: RolloutStore) -> ShortIds:
    """How the sessions that there are can be called."""
    return ShortIds(file.session_id for file in await store.files())


async def session_id_of(store: RolloutStore, said: str) -> str:
    """The id of the session that `said` means: an id, the beginning of one, or `last`.

    Raises:
        RolloutNotFound: there is none, or more than one.
    """
    if said == LAST:
        return await _last(store)
    beginning = said.lower()
    ids = sorted({file.session_id for file in await store.files()})
    found = [session_id for session_id in ids if session_id.startswith(beginning)]
    if beginning in found:
        return beginning
    if not beginning or not found:
        raise RolloutNotFound(
            f"there is no session {said!r}; `codex-rpc sessions list` shows those that there are"
        )
    if len(found) > 1:
        names = ", ".join(map(ShortIds(ids).short, found[:MAX_NAMED]))
        more = ", …" if len(found) > MAX_NAMED else ""
        raise RolloutNotFound(f"{said} is the beginning of {len(found)} ids: {names}{more}")
    return found[0]


async def _last(store: RolloutStore) -> str:
    """The newest session that can be read."""
    cursor: str | None = None
    while True:
        query = SessionQuery(cursor=cursor, limit=_PAGE)
        page = await store.list(query, live=frozenset())
        for session in page.sessions:
            if session.status != "unreadable":
                return session.session_id
        cursor = page.next_cursor
        if cursor is None:
            raise RolloutNotFound("there is no session yet")


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with together."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
