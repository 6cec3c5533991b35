"""Order the tasks of a run by what their contracts say they read, for whoever runs them without Airflow."""

from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.errors import ContractError


def _order() -> tuple[str, ...]:
    """Tasks named after the table they make, logs aside, each after those it reads from; then `releases` and `report`.

    Of tasks that may come next the first by name does, so that the order is the same everywhere.
    """
    contracts = {table: load_contract(table) for table in table_names()}
    waiting = {
        table: {*(contracts[other].made_by for other in contract.reads), *contract.after} - {table}
        for table, contract in contracts.items()
        if contract.made_by == table and contract.role != "log"
    }
    found: list[str] = []
    while waiting:
        ready = sorted(task for task, makers in waiting.items() if makers <= set(found))
        if not ready:
            raise ContractError(
                f"schemas: what {', '.join(sorted(waiting))} read goes round in a circle; see reads_before"
            )
        found.append(ready[0])
        del waiting[ready[0]]
    return (*found, "releases", "report")


ORDER = _order()
"""The jobs of a night, in an order the DAG allows."""

TRY_AGAIN = 75  # EX_TEMPFAIL: what failed may well work the next time
