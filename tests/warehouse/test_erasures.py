"""Who was erased is kept by digest, under a key of the warehouse."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import KEY, digester, erased_digests, let_back, record

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)


def test_a_digest_is_the_warehouses_own(tmp_path: Path) -> None:
    one, other = Warehouse(tmp_path / "one"), Warehouse(tmp_path / "other")
    assert digester(one)("ben") == digester(one)("ben")
    assert len({digester(one)("ben"), digester(one)("ana"), digester(other)("ben")}) == 3
    assert (tmp_path / "one" / KEY).stat().st_mode & 0o777 == 0o600


def test_erased_let_back_and_erased_again(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    assert erased_digests(warehouse) == frozenset()
    record(warehouse, ["ben", "dan"], "ana", NOON)
    assert erased_digests(warehouse) == {digester(warehouse)("ben"), digester(warehouse)("dan")}
    assert let_back(warehouse, ["ben", "zoe"]) == 1
    assert erased_digests(warehouse) == {digester(warehouse)("dan")}
    record(warehouse, ["ben"], "ana", datetime.now(UTC))
    assert len(erased_digests(warehouse)) == warehouse.read("erasures").num_rows == 2


def test_without_its_key_the_record_is_worth_nothing(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    record(warehouse, ["ben"], "ana", NOON)
    (tmp_path / KEY).unlink()
    with pytest.raises(PipelineError, match="_erasure_key is gone"):
        digester(warehouse)("ben")
