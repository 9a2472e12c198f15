"""`attrs.frozen` with comparison and `repr` shared by all classes instead of generated for each.

attrs writes and compiles source for every class when it is defined. The vocabulary has over a
hundred classes, and an editor waits for all of them at every start: generating only the
initialisers halves that. Nothing else differs, and for a type checker nothing does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from attrs import frozen as frozen
else:

    def frozen(cls=None, **options):
        """As `attrs.frozen`."""
        if cls is None:
            return lambda decorated: frozen(decorated, **options)
        # attrs does not generate what the class has itself.
        cls.__repr__, cls.__eq__, cls.__hash__ = _repr, _eq, _hash
        return attrs.frozen(cls, **options)


def _values(instance: Any) -> tuple[Any, ...]:
    return tuple(getattr(instance, a.name) for a in instance.__attrs_attrs__)


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash((self.__class__, _values(self)))


def _repr(self: Any) -> str:
    shown = ((a.name, getattr(self, a.name)) for a in self.__attrs_attrs__ if a.repr)
    inside = ", ".join(f"{name}={value!r}" for name, value in shown)
    return f"{self.__class__.__qualname__}({inside})"
