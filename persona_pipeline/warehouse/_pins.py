"""Versions at which a run's task opens the warehouse's state, and what it read and wrote, for the record."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from persona_pipeline.contracts import load_contract


@dataclass
class Pins:
    """What one task of a run may see.

    Attributes:
        versions: of tables of role `state`; one that is absent did not exist when the run was opened.
        own: tables that the task makes, which it sees as they are: it may have been broken off before.
        reads: version by table of all it has read so far.
        writes: version, and rows inserted, updated and deleted, by table of all it has written so far.
    """

    versions: Mapping[str, int]
    own: frozenset[str] = frozenset()
    reads: dict[str, int] = field(default_factory=dict)
    writes: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)

    def holds(self, table: str) -> bool:
        """Whether the run says at which version this table is read."""
        return table not in self.own and load_contract(table).role == "state"
