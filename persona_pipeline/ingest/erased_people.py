"""Find out whose records a night leaves out, from the warehouse's `erasures`."""

from collections.abc import Callable

from persona_pipeline.sources.erased import Erased
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import digester, erased_digests


def erased_people(warehouse: Warehouse, user_name: Callable[[str], str] | None = None) -> Erased | None:
    """Tell people who were erased from the warehouse; None where nobody was. `user_name` makes pseudonyms of ids in files."""
    digests = erased_digests(warehouse)
    return Erased(digester(warehouse), digests, user_name) if digests else None
