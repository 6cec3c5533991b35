"""Versions at which a run's task opens the warehouse's state, and what it read and wrote, for the record."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import ContractError


@dataclass
class Pins:
    """What one task of a run may see.

    Attributes:
        versions: of tables of role `state`; one that is absent did not exist when the run was opened.
        task: that reads and writes.
        declared: tables of role `state` that its contract says it reads; None for one that may read all.
        own: tables that the task makes, which it sees as they are: it may have been broken off before.
        reads: version by table of all it has read so far.
        writes: version, and rows inserted, updated and deleted, by table of all it has written so far.
    """

    versions: Mapping[str, int]
    task: str = ""
    declared: frozenset[str] | None = None
    own: frozenset[str] = frozenset()
    reads: dict[str, int] = field(default_factory=dict)
    writes: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)

    def holds(self, table: str) -> bool:
        """Whether the run says at which version this table is read."""
        return table not in self.own and load_contract(table).role == "state"

    def check(self, table: str) -> None:
        """Raise ContractError for a table that the task does not say it reads."""
        if self.declared is not None and table not in self.declared:
            raise ContractError(
                f"the task {self.task} reads {table}, which schemas/{self.task}.yaml does not name under `reads`"
            )
