"""Cache LLM responses in `llm_calls`: an identical request of any later run is answered from the cache.

Responses first go into small files beside the table, each written atomically, so that a crash costs at most the
responses of one; `commit` merges them into the table. A file that was merged but not yet removed does no harm: its keys
are known. Several processes may record at once, and commit one after the other.
"""

import contextlib
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.extract.llm.engines.engine import Answer
from persona_pipeline.extract.llm.outcomes import OutcomeName
from persona_pipeline.extract.llm.requests import Request
from persona_pipeline.warehouse import Warehouse

TABLE = "llm_calls"
BATCH = 32  # answers a file holds, and so the most a crash can cost
SECONDS = 20.0  # after which a smaller batch is written too


class ResponseCache:
    """Responses by request key."""

    def __init__(self, warehouse: Warehouse, as_of: date) -> None:
        self._warehouse, self._as_of = warehouse, as_of
        self._folder = warehouse.root / "_llm_calls"
        self._schema = load_contract(TABLE).arrow_schema()
        self._rows: list[dict[str, object]] = []
        self._known: np.ndarray | None = None
        self._recorded: set[str] = set()
        self._written = time.monotonic()

    def lookup(self, keys: Iterable[str]) -> dict[str, Answer]:
        """Cached responses by key; unknown keys are absent.

        All keys are read once, and eight bytes of each are held; the responses themselves only where one of them may be meant.
        """
        distinct = pa.table({"request_key": pa.array(sorted(set(keys)), pa.string())})
        if self._known is None:
            self._known = self._all_hashes()
        hashes = self._warehouse.query("SELECT hash(request_key) AS h FROM wanted", [], wanted=distinct)["h"].to_numpy()
        place = np.searchsorted(self._known, hashes)
        known = place < len(self._known)
        known[known] = self._known[place[known]] == hashes[known]
        recorded = np.array([key in self._recorded for key in distinct["request_key"].to_pylist()], bool)
        wanted = distinct.filter(pa.array(known | recorded))
        if not wanted.num_rows:
            return {}
        found = self._warehouse.query(
            "SELECT * FROM llm_calls SEMI JOIN wanted USING (request_key) "
            "UNION ALL SELECT * FROM pending SEMI JOIN wanted USING (request_key)",
            [TABLE],
            wanted=wanted,
            pending=pa.concat_tables(
                [self._pending(self._files()), pa.Table.from_pylist(self._rows, schema=self._schema)]
            ),
        )
        return {
            row["request_key"]: Answer(
                row["request_key"], row["output"], row["finish"], row["prompt_tokens"], row["completion_tokens"]
            )
            for row in found.to_pylist()
        }

    def mean_reply_tokens(self, stage: str) -> float | None:
        """Mean completion tokens of a stage's cached responses; None where it has none."""
        said: float | None = self._warehouse.query(
            "SELECT avg(completion_tokens) AS mean FROM llm_calls WHERE stage = $stage", [TABLE], {"stage": stage}
        )["mean"][0].as_py()
        return said

    def refresh(self) -> None:
        """Reread keys at the next lookup, to see responses that other processes recorded."""
        self._known = None

    def record(self, request: Request, answer: Answer, outcome: OutcomeName) -> None:
        """Store a response; it is on disk once its batch is, at the latest after `flush`."""
        self._recorded.add(request.key)
        self._rows.append(
            {
                "request_key": request.key,
                "stage": request.stage,
                "subject_id": request.subject,
                "model": request.model,
                "max_tokens": request.sampling.max_tokens,
                "temperature": request.sampling.temperature,
                "seed": request.sampling.seed,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
                "finish": answer.finish,
                "outcome": outcome,
                "output": answer.text,
                "system": request.system,
                "prompt": request.user,
                "review_ids": list(request.reviews),
                "asked_as_of": self._as_of,
            }
        )
        if len(self._rows) >= BATCH or time.monotonic() - self._written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write responses that are still in memory."""
        self._written = time.monotonic()
        if not self._rows:
            return
        with atomic_file(self._folder / f"{uuid.uuid4().hex}.parquet") as partial:
            pq.write_table(pa.Table.from_pylist(self._rows, schema=self._schema), partial)
        self._rows.clear()

    def commit(self) -> int:
        """Merge the files into the table; returns the number of new responses."""
        self.flush()
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / ".lock"):  # one takes the files at a time
            return self._merge()

    def _merge(self) -> int:
        files = self._files()
        pending = self._pending(files)
        new = self._warehouse.add_new(TABLE, pending.sort_by([("request_key", "ascending"), ("output", "ascending")]))
        for file in files:
            file.unlink(missing_ok=True)
        return new.inserted

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.parquet"))

    def _all_hashes(self) -> np.ndarray:
        """Hashes of all keys, (n,) uint64, sorted."""
        # Files before the table: an answer that is merged in between is then seen in the table.
        pending = self._pending(self._files()).select(["request_key"])
        found = self._warehouse.query(
            f"SELECT hash(request_key) AS h FROM (SELECT request_key FROM {TABLE} UNION ALL FROM pending) ORDER BY h",
            [TABLE],
            pending=pending,
        )
        hashes: np.ndarray = found["h"].to_numpy()
        return hashes

    def _pending(self, files: Sequence[Path]) -> pa.Table:
        found = [self._schema.empty_table()]
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # another process has just merged it
                found.append(pq.read_table(file).cast(self._schema))
        return pa.concat_tables(found)
