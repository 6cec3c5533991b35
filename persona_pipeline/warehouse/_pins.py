"""Pin the table versions a run's task reads, and record what it read and wrote."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import ContractError


@dataclass
class Pins:
    """Table versions pinned for one task of a run.

    Attributes:
        versions: of tables of role `state`; an absent table did not exist when the run was opened.
        task: that reads and writes.
        declared: tables of role `state` that the task's contract declares under `reads`; None permits all.
        own: tables that the task writes, which it reads at their newest: an earlier attempt may have been interrupted.
        reads: version by table of all reads so far.
        writes: version, and rows inserted, updated and deleted, by table of all writes so far.
    """

    versions: Mapping[str, int]
    task: str = ""
    declared: frozenset[str] | None = None
    own: frozenset[str] = frozenset()
    reads: dict[str, int] = field(default_factory=dict)
    writes: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)

    def holds(self, table: str) -> bool:
        """Whether the table's version is pinned."""
        return table not in self.own and load_contract(table).role == "state"

    def check(self, table: str) -> None:
        """Raise ContractError for a table that the task's contract does not declare under `reads`."""
        if self.declared is not None and table not in self.declared:
            raise ContractError(
                f"the task {self.task} reads {table}, which schemas/{self.task}.yaml does not name under `reads`"
            )
