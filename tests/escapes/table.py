"""The table, in the order of the report."""

from . import denied, machine, network, processes, protected, writing
from .attempt import Attempt

SECTIONS: dict[str, tuple[Attempt, ...]] = {
    "Writing outside": writing.ROWS,
    "Protected inside": protected.ROWS,
    "Reading what is denied": denied.ROWS,
    "The network": network.ROWS,
    "Other processes": processes.ROWS,
    "The machine and the walls": machine.ROWS,
}

ROWS: tuple[Attempt, ...] = tuple(row for rows in SECTIONS.values() for row in rows)

assert len({row.name for row in ROWS}) == len(ROWS), "each row has a name of its own"
