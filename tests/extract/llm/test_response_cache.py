"""The ledger: answers survive whatever happens between being given and being merged."""

from datetime import date
from pathlib import Path

from persona_pipeline.extract.llm.engines.engine import Answer
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.response_cache import BATCH, ResponseCache
from persona_pipeline.warehouse import Warehouse

AS_OF = date(2024, 1, 1)


def request(n: int) -> Request:
    return Request("review_aspects", f"r{n}", "s", f"u{n}", {}, "m@1", Sampling(10, 0.0, 0))


def record(ledger: ResponseCache, *numbers: int, text: str = "{}") -> None:
    for n in numbers:
        ledger.record(request(n), Answer(request(n).key, text, "stop", 3, 2), "ok")


def files(warehouse: Warehouse) -> list[Path]:
    return sorted((warehouse.root / "_llm_calls").glob("*.par*"))


def test_a_full_batch_is_on_disk_without_a_flush(warehouse: Warehouse) -> None:
    record(ResponseCache(warehouse, AS_OF), *range(BATCH + 5))
    found = ResponseCache(warehouse, AS_OF).lookup(request(n).key for n in range(BATCH + 5))
    assert len(found) == BATCH  # a crash now costs five answers


def test_pending_answers_are_known_before_they_are_merged(warehouse: Warehouse) -> None:
    ledger = ResponseCache(warehouse, AS_OF)
    record(ledger, 1, 2)
    ledger.flush()
    assert set(ResponseCache(warehouse, AS_OF).lookup([request(1).key, request(3).key])) == {request(1).key}
    assert not warehouse.exists("llm_calls")


def test_commit_moves_them_into_the_table_once(warehouse: Warehouse) -> None:
    ledger = ResponseCache(warehouse, AS_OF)
    record(ledger, 1, 2)
    assert ledger.commit() == 2
    assert files(warehouse) == []
    version = warehouse.version("llm_calls")
    record(ledger, 2)
    assert ledger.commit() == 0
    assert warehouse.version("llm_calls") == version
    assert warehouse.read("llm_calls")["subject_id"].to_pylist() != []
    answer = ledger.lookup([request(1).key])[request(1).key]
    assert (answer.text, answer.finish, answer.prompt_tokens, answer.completion_tokens) == ("{}", "stop", 3, 2)


def test_a_crash_between_merge_and_removal_does_no_harm(warehouse: Warehouse) -> None:
    ledger = ResponseCache(warehouse, AS_OF)
    record(ledger, 1, 2)
    ledger.flush()
    (left_over,) = files(warehouse)
    content = left_over.read_bytes()
    ledger.commit()
    left_over.write_bytes(content)
    assert ResponseCache(warehouse, AS_OF).commit() == 0
    assert warehouse.read("llm_calls").num_rows == 2
    assert files(warehouse) == []


def test_half_a_file_is_not_read(warehouse: Warehouse) -> None:
    ledger = ResponseCache(warehouse, AS_OF)
    record(ledger, 1)
    ledger.flush()
    (warehouse.root / "_llm_calls" / "abc.partial").write_bytes(b"PAR1 half")
    assert ResponseCache(warehouse, AS_OF).commit() == 1


def test_two_writers_with_the_same_answer_leave_one_row(warehouse: Warehouse) -> None:
    one, other = ResponseCache(warehouse, AS_OF), ResponseCache(warehouse, AS_OF)
    record(one, 1, 2)
    record(other, 2, 3)
    one.flush()
    other.flush()
    assert ResponseCache(warehouse, AS_OF).commit() == 3
