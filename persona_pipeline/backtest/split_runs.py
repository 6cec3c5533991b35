"""Configure and run the three nights of a backtest: hold-out file, shared caches, and input hash of each."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from persona_pipeline.config import CandidatesConfig, PipelineConfig, load_config
from persona_pipeline.core.errors import ConfigError, PipelineError
from persona_pipeline.core.terminal import counted
from persona_pipeline.evaluate.splits import leave_last_out, tuning_day, written_since
from persona_pipeline.orchestrate.local import LocalRun, Summary
from persona_pipeline.sources.files import check_files
from persona_pipeline.sources.given import given_records, given_rows, wait_for
from persona_pipeline.sources.holdout_file import write_holdout
from persona_pipeline.sources.newest import day_after_newest
from persona_pipeline.sources.table_files import check_table
from persona_pipeline.sources.table_kinds import CANDIDATES
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.fingerprints import files_digest

INPUT = ("interactions", "reviews")
"""Jobs that make what hold-outs are chosen from."""
LEAVE_LAST_OUT = "leave-last-out"
LENGTH = 20
"""Places of a list that are judged."""


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """Options of a backtest.

    `split` is leave-last-out or the first day of the test; `as_of` None means every review and event; `interactions`
    overrides the setting `interactions.file`.
    """

    root: Path
    source: str
    reviews: Path | None
    items: Path | None = None
    split: str = LEAVE_LAST_OUT
    config: str = "local"
    extractor: str | None = None
    cache: Path | None = None
    baselines: bool = True
    seeds: int = 1
    as_of: date | None = None
    interactions: Path | None = None

    @property
    def named(self) -> Path:
        """The input by which the backtest goes: the reviews, or else the events."""
        return self.reviews or self.interactions or Path("events")

    def day(self) -> date | None:
        """First day of the test; None where the last interactions are left out. Raises ConfigError for another split."""
        if self.split == LEAVE_LAST_OUT:
            return None
        try:
            return date.fromisoformat(self.split)
        except ValueError:
            raise ConfigError(f"--split {self.split}: expected {LEAVE_LAST_OUT} or a date such as 2024-06-30") from None


@dataclass(frozen=True, slots=True)
class SplitRun:
    """A night that knows only part of the reviews and events.

    Attributes:
        withheld: interaction_id, user_id and item_id of the reviews and events it must not know.
        repeats: whether it may know an older review or event of the same user and item as a withheld one.
    """

    night: LocalRun
    withheld: pa.Table
    repeats: bool

    @property
    def warehouse(self) -> Warehouse:
        """The night's warehouse."""
        return Warehouse(self.night.warehouse)


class SplitRuns:
    """The nights of one request. Raises ConfigError or SourceError for an invalid request."""

    def __init__(self, request: BacktestRequest, console: Console) -> None:
        self.root, self.console = request.root.resolve(), console
        self.request = request
        self._cache = (request.cache or request.root).resolve()
        self.day = request.day()
        config = load_config(request.config, self._overrides())
        known = given_records(request.source, request.reviews, request.items, config)
        inputs = [one for one in known if one.kind != "items"]
        if not inputs:
            raise ConfigError("nothing to backtest: give --reviews, or --interactions, a file or folder of events")
        wait_for(known, given_rows(config), config)
        files = [found.path for one in known for found in check_files(one.path, one.kind, one.adapter)]
        if config.candidates.file:
            files += _blind(config.candidates)
        self.as_of = request.as_of or max(day_after_newest(one, config.interactions) for one in inputs)
        if self.day and self.day >= self.as_of:
            raise ConfigError(
                f"--split {self.day}: reviews count up to {self.as_of}, exclusive; nothing is left to test on"
            )
        self.inputs = fingerprint(request.source, files_digest(files), self.as_of.isoformat())

    def run(self, night: LocalRun, jobs: Sequence[str]) -> dict[str, Summary]:
        """Run jobs of a night, skipping jobs whose output is still valid. Raises PipelineError where a job fails."""
        return night.run(jobs, self.console, resume=True)

    def everything(self) -> Warehouse:
        """Ingest every review and event into the warehouse `all`, from which the hold-outs are chosen."""
        night = self._night("all", self.as_of, {})
        self.console.print("[bold]all[/]: every review")
        self.run(night, INPUT)
        return Warehouse(night.warehouse)

    def parts(self, everything: Warehouse) -> tuple[SplitRun, SplitRun]:
        """Prepare the tuning and the test night, each with its hold-out and `reviews`."""
        if self.day is None:
            split = leave_last_out(everything)
            return self._part("tuning", self.as_of, split.tuning()), self._part("test", self.as_of, split.test)
        moved = tuning_day(everything, self.day)
        tuning, test = (
            self._part(name, day, written_since(everything, day))
            for name, day in (("tuning", moved), ("test", self.day))
        )
        return tuning, test

    def configured(self, part: SplitRun, encoders: Mapping[str, Any]) -> LocalRun:
        """Configure a night with other settings of the encoder."""
        withheld = part.night.config.reviews.withheld
        return replace(part.night, config=self._config({"reviews": {"withheld": withheld}, "encoders": dict(encoders)}))

    def _part(self, name: str, as_of: date, withheld: pa.Table) -> SplitRun:
        file = self.root / f"{name}.parquet"
        write_holdout(file, withheld["interaction_id"])
        night = self._night(name, as_of, {"reviews": {"withheld": str(file)}})
        self.console.print(f"[bold]{name}[/]: as of {as_of}, {counted(withheld.num_rows, 'interaction')} withheld")
        self.run(night, INPUT)
        return SplitRun(night, withheld, repeats=self.day is not None)

    def _night(self, name: str, as_of: date, overrides: Mapping[str, Any]) -> LocalRun:
        self._share("text_embeddings", self.root / name)
        request = self.request
        return LocalRun(
            self.root / name,
            as_of,
            self._config(overrides),
            request.source,
            request.reviews and request.reviews.resolve(),
            request.items and request.items.resolve(),
        )

    def _config(self, overrides: Mapping[str, Any]) -> PipelineConfig:
        return load_config(self.request.config, {**self._overrides(), **overrides})

    def _overrides(self) -> dict[str, Any]:
        """Settings that every night shares, whatever the configuration says."""
        config = load_config(self.request.config)
        extraction: dict[str, Any] = {"llm": {"ledger": config.extraction.llm.ledger or str(self._cache)}}
        if self.request.extractor:
            extraction["extractor"] = self.request.extractor
        # What a user had already is no answer, however slightly, and a list must reach as far as it is judged.
        topk = {"k": max(LENGTH, config.user_item_topk.k), "exclude_reviewed": True}
        # What may be shown today has no say in what people chose then, nor has how few of a kind a list of k shows.
        topk |= {"max_per_category": 0, "max_per_creator": 0}
        eligibility = {"file": "", "full_catalogue": False, "blocks": ""}
        events: dict[str, Any] = {"seen_weight": 0.0}
        if self.request.interactions:
            events["file"] = str(self.request.interactions.resolve())
        return {"extraction": extraction, "user_item_topk": topk, "interactions": events, "eligibility": eligibility}

    def _share(self, table: str, warehouse: Path) -> None:
        """Link a night's table to the shared table, so that each text is embedded once for all nights."""
        shared, link = self._cache / table, warehouse / table
        shared.mkdir(parents=True, exist_ok=True)
        warehouse.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            raise PipelineError(
                f"{link} is a table of its own; a backtest keeps it in {shared}. Choose another --warehouse"
            )
        link.symlink_to(shared)


def _blind(config: CandidatesConfig) -> list[Path]:
    """Candidate files that are declared not to know the hold-out (`candidates.blind`)."""
    if not config.blind:
        raise ConfigError(
            f"candidates.file: {config.file}: a backtest cannot see what these lists were made from, and one that knows what is "
            "withheld, validation and test, would be scored by its own answers. Have them made without, and say so by "
            "candidates.blind: true; or leave the file out"
        )
    return [file.path for file in check_table(Path(config.file), CANDIDATES).files]


def fingerprint(*parts: str) -> str:
    """16 hexadecimal digits that change with any of the parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
