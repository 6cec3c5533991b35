"""Recommendations as a web service asks for them: pyarrow and delta-rs only, at the table versions of one release.

`top` needs nothing else. `score` and `why` also need numpy, scipy and the encoder's artefact; they load what they need when
first asked. Nothing here imports Spark, DuckDB, pandas or torch.
"""

import json
import threading
import zlib
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.contracts import load_contract
from persona_pipeline.errors import PipelineError, ReleaseError
from persona_pipeline.publish.answers import (
    UNKNOWN_USER,
    UNUSABLE_HISTORY,
    Recommendation,
    Why,
    recommendations,
)
from persona_pipeline.publish.pinned import PinnedTable
from persona_pipeline.publish.releases import Release, release_of
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse._earlier import layout

if TYPE_CHECKING:
    from persona_pipeline.publish.online import Online

_LONG = 32  # characters from which Delta's statistics hold a bound instead of the value


class Recommendations:
    """Recommendations of one release, by user.

        recommendations = Recommendations("warehouse")
        for row in recommendations.top("u1", 10):
            print(row.rank, row.item_title, row.explanation)

    Everything asked is answered from the release that was served when the object was made, at the versions it names, whatever
    a night is writing; `refresh` goes over to a newer one between two answers. Any number of threads may ask at once.

    Args:
        warehouse: folder of the Delta tables.
        release: a release, or its id, which is then stayed with; the served one by default.
        users_held: users whose vectors `score` and `why` keep, the last ones asked about; some 60 kB each.

    Raises:
        PipelineError: nothing has been published.
        ReleaseError: there is no published release of that id.
    """

    def __init__(
        self, warehouse: Warehouse | Path | str, release: Release | str | None = None, users_held: int = 1_024
    ) -> None:
        self._root = warehouse.root if isinstance(warehouse, Warehouse) else Path(warehouse)
        self._named = release.release_id if isinstance(release, Release) else release
        self._users_held = users_held
        self._refreshing = threading.Lock()
        self._view = View(self._root, _release_row(self._root, self._named), users_held)

    @property
    def release(self) -> Release:
        """The release answers come from."""
        return self._view.release

    def refresh(self) -> bool:
        """Go over to the release that is served now; whether that is another. A release given by name is stayed with.

        Answers under way end on the release they began with, and none waits: vectors that are in use are read before going
        over, so for that moment both releases' are in memory. Call it from a timer.
        """
        if self._named is not None:
            return False
        with self._refreshing:
            row = _release_row(self._root, None)
            if row["release_id"] == self._view.release.release_id:
                return False
            view = View(self._root, row, self._users_held)
            view.read_what(self._view)
            self._view = view
            return True

    def top(self, user_id: str, k: int = 10) -> list[Recommendation]:
        """The user's best `k` items at most, best first, by reading the few rows that can be the user's.

        A user without a list of their own gets what most people like, less what they have reviewed (where the release
        leaves that out); `recommendation_source` says on which rung of the ladder a row stands (`publish.answers`).
        """
        return self._view.top(user_id, k)

    def score(self, user_id: str, item_ids: Sequence[str]) -> np.ndarray:
        """Scores of any items, (n,) float64 in the order given: those of `user_item_topk`, computed from the stored vectors.

        An item without a persona in this release is NaN. For a user without a usable history they are those of
        `default_topk`, which go by popularity alone.
        """
        return self._view.online.scores(user_id, item_ids)

    def source(self, user_id: str) -> str:
        """On which rung `score` stands for the user: persona, unusable_history or unknown_user."""
        return self._view.source(user_id)

    def why(self, user_id: str, item_id: str) -> Why:
        """From a recommendation to all that is behind it; also of an item that is not in the user's list, scored online.

        Raises PipelineError for an item without a persona in this release.
        """
        from persona_pipeline.publish.reasons import why

        return why(self._view, user_id, item_id)


class View:
    """One release: its tables at their versions, opened when first read. Nothing else of a reader changes."""

    def __init__(self, root: Path, row: dict[str, Any], users_held: int) -> None:
        self.root, self.release = root, release_of(row)
        self.config: dict[str, Any] = json.loads(row["config"])
        self._users_held = users_held
        self._opening = threading.RLock()
        self._tables: dict[str, PinnedTable] = {}
        self._lists = self.table("user_item_topk")
        self._defaults = self.table("default_topk").read()
        self._buckets = _buckets(self._lists, self._config("user_buckets"))

    def read_what(self, other: "View") -> None:
        """Read now what another view has had to read since it was made."""
        for name in ("_online", "_users"):
            if name in vars(other):
                getattr(self, name)

    def table(self, name: str) -> PinnedTable:
        """A table as this release made it; a cache, which only grows, as it is. Raises PipelineError where there is none."""
        cached = load_contract(name).role == "cache"
        version = Warehouse(self.root).version(name) if cached else self.release.versions.get(name)
        if version is None:
            raise PipelineError(f"release {self.release.release_id} names no table {name}")
        with self._opening:
            if name not in self._tables:
                self._tables[name] = PinnedTable(self.root / name, version, load_contract(name))
            return self._tables[name]

    @property
    def online(self) -> "Online":
        """The release's vectors; read when first asked for."""
        with self._opening:
            return self._online

    @cached_property
    def _online(self) -> "Online":
        from persona_pipeline.publish.online import Online

        weight = self._config("candidates_weight") if self._config("candidates") == "fuse" else None
        return Online(self.root, self.release.encoder_id, self.table, self._users_held, weight)

    def top(self, user_id: str, k: int | None = None) -> list[Recommendation]:
        """See `Recommendations.top`; None for the whole list."""
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
        """See `Recommendations.source`."""
        return "persona" if self.online.usable(user_id) else self._cold(user_id)

    def _cold(self, user_id: str) -> str:
        return UNUSABLE_HISTORY if pc.index(self._users, user_id).as_py() >= 0 else UNKNOWN_USER

    @cached_property
    def _users(self) -> pa.ChunkedArray:
        """Users with a history of any kind: some 30 bytes each, read when the first stranger comes."""
        return self.table("user_histories").read(["user_id"])["user_id"]

    def _config(self, setting: str) -> Any:
        return self.config.get("user_item_topk", {}).get(setting)


_LISTED = [field.name for field in fields(Recommendation)]


def _release_row(root: Path, release_id: str | None) -> dict[str, Any]:
    """The row of `releases` of that id, or of the release that is served."""
    layout(root)  # refuses a later version's
    folder = root / "releases"
    if not (folder / "_delta_log").is_dir():
        raise PipelineError(f"nothing has been published in {root} yet; `make nightly` runs a night")
    rows: list[dict[str, Any]] = PinnedTable(folder).rows("verdict", ["published"]).to_pylist()
    if release_id is not None:
        found = [row for row in rows if row["release_id"] == release_id]
        if not found:
            known = ", ".join(sorted(row["release_id"] for row in rows)) or "none"
            raise ReleaseError(f"there is no published release {release_id} in {root}; there are: {known}")
        return found[0]
    if not rows:
        raise PipelineError(f"nothing has been published in {root} yet; `make nightly` runs a night")
    return max(rows, key=lambda row: (row["as_of"], row["release_id"]))


def _buckets(lists: PinnedTable, configured: int | None) -> int | None:
    """How many buckets there are, by the release's configuration; None unless the table is divided so.

    A user looked for in another bucket than theirs would seem to have no list, so the table itself is asked: of every file,
    the user Delta's statistics name must belong where the file is.
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
