"""Open one release's tables at their versions, each read at first use."""

import json
import threading
import zlib
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError, ReleaseError
from persona_pipeline.publish.releases import release_of
from persona_pipeline.serving.records import (
    UNKNOWN_USER,
    UNUSABLE_HISTORY,
    Recommendation,
    recommendations,
)
from persona_pipeline.serving.table_snapshot import TableSnapshot
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse._earlier import layout

if TYPE_CHECKING:
    from persona_pipeline.serving.online import Online

_LONG = 32  # characters from which Delta's statistics hold a bound instead of the value


class ReleaseSnapshot:
    """One release: its tables at their versions, opened at first use. The part of a reader that a refresh replaces."""

    def __init__(self, root: Path, row: dict[str, Any], users_held: int) -> None:
        self.root, self.release = root, release_of(row)
        self.config: dict[str, Any] = json.loads(row["config"])
        self.erasures = erasures(root)
        self._users_held = users_held
        self._opening = threading.RLock()
        self._tables: dict[str, TableSnapshot] = {}
        self._lists = self.table("user_item_topk")
        self._defaults = self.table("default_topk").read()
        self._buckets = _buckets(self._lists, self._config("user_buckets"))

    def read_what(self, other: "ReleaseSnapshot") -> None:
        """Read now the tables that another snapshot has read since it was made."""
        for name in ("_online", "_users"):
            if name in vars(other):
                getattr(self, name)

    def has(self, name: str) -> bool:
        """Whether the release has the table; of a cache, whether the warehouse does now."""
        return self._version(name) is not None

    def table(self, name: str) -> TableSnapshot:
        """Open a table as this release made it; a cache, which only grows, as it is. Raises PipelineError where there is none."""
        version = self._version(name)
        if version is None:
            raise PipelineError(f"release {self.release.release_id} names no table {name}")
        with self._opening:
            if name not in self._tables:
                self._tables[name] = TableSnapshot(self.root / name, version, load_contract(name))
            return self._tables[name]

    def _version(self, name: str) -> int | None:
        if load_contract(name).role == "cache":
            return Warehouse(self.root).version(name)
        return self.release.versions.get(name)

    @property
    def online(self) -> "Online":
        """The release's vectors, read at first use."""
        with self._opening:
            return self._online

    @cached_property
    def _online(self) -> "Online":
        from persona_pipeline.serving.online import Online

        weight = self._config("candidates_weight") if self._config("candidates") == "fuse" else None
        return Online(self.root, self.release.encoder_id, self.table, self._users_held, weight)

    def top(self, user_id: str, k: int | None = None) -> list[Recommendation]:
        """Implement `Recommendations.top`; None for the whole list."""
        bucket = {"user_bucket": zlib.crc32(user_id.encode()) % self._buckets} if self._buckets else None
        rows = self._lists.rows("user_id", [user_id], _LISTED, bucket)
        if rows.num_rows:
            return recommendations(rows if k is None else rows.filter(pc.less_equal(rows["rank"], k)))
        source = self._cold(user_id)
        defaults = self._defaults
        if source == UNUSABLE_HISTORY and self._config("exclude_reviewed") is not False:
            history = self.table("user_histories").rows("user_id", [user_id], ["reviewed_item_ids"])
            reviewed = history["reviewed_item_ids"].combine_chunks().flatten()
            defaults = defaults.filter(pc.invert(pc.is_in(defaults["item_id"], reviewed)))
        rows = recommendations(defaults, source)[:k]
        return [replace(row, rank=place) for place, row in enumerate(rows, start=1)]

    def source(self, user_id: str) -> str:
        """Implement `Recommendations.source`."""
        return "persona" if self.online.usable(user_id) else self._cold(user_id)

    def _cold(self, user_id: str) -> str:
        return UNUSABLE_HISTORY if pc.index(self._users, user_id).as_py() >= 0 else UNKNOWN_USER

    @cached_property
    def _users(self) -> pa.ChunkedArray:
        """Users with a history of any kind: some 30 bytes each, read at the first user without a list."""
        return self.table("user_histories").read(["user_id"])["user_id"]

    def _config(self, setting: str) -> Any:
        return self.config.get("user_item_topk", {}).get(setting)


def erasures(root: Path) -> int | None:
    """A number that changes with every erasure; None before the first."""
    return Warehouse(root).version("erasures")


_LISTED = [field.name for field in fields(Recommendation)]


def release_row(root: Path, release_id: str | None) -> dict[str, Any]:
    """The row of `releases` with that id, or of the served release."""
    layout(root)  # refuses a later version's
    folder = root / "releases"
    if not (folder / "_delta_log").is_dir():
        raise PipelineError(f"nothing has been published in {root} yet; `make nightly` runs a night")
    rows: list[dict[str, Any]] = TableSnapshot(folder).rows("verdict", ["published"]).to_pylist()
    if release_id is not None:
        found = [row for row in rows if row["release_id"] == release_id]
        if not found:
            known = ", ".join(sorted(row["release_id"] for row in rows)) or "none"
            raise ReleaseError(f"there is no published release {release_id} in {root}; there are: {known}")
        return found[0]
    if not rows:
        raise PipelineError(f"nothing has been published in {root} yet; `make nightly` runs a night")
    return max(rows, key=lambda row: (row["as_of"], row["release_id"]))


def _buckets(lists: TableSnapshot, configured: int | None) -> int | None:
    """Number of user buckets in the release's configuration; None unless the table is partitioned accordingly.

    A lookup in a wrong bucket would find no list, so the table itself is checked: in every file, the user named in
    Delta's statistics must belong to the file's bucket.
    """
    if not configured:
        return None
    for file in lists.files:
        user = file.stats.get("min.user_id")
        if (
            user is not None
            and len(user) < _LONG
            and zlib.crc32(user.encode()) % configured != file.partition["user_bucket"]
        ):
            return None
    return configured
