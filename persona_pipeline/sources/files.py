"""Check that each input file can be read and has the source's keys, and split files for reading."""

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.adapters import ADAPTERS, Adapter, InputKind, found
from persona_pipeline.sources.containers import compression
from persona_pipeline.sources.digests import digest_of, require_whole
from persona_pipeline.sources.folders import list_files
from persona_pipeline.sources.records import Record, Split, records
from persona_pipeline.sources.shapes import SAMPLED, Format, Shape, recognise
from persona_pipeline.sources.values import number

SPLIT_BYTES = 32 << 20
_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{2}|[^\W\d_]{3,}"
)  # some scripts put no space between words


@dataclass(frozen=True, slots=True)
class InputFile:
    """One checked file: its path, its name below what was given, its size on disk, and what it holds (None: nothing)."""

    path: Path
    name: str
    bytes: int
    shape: Shape | None


def check_files(path: Path, kind: InputKind, adapter: Adapter, parsed: Container[str] | None = None) -> list[InputFile]:
    """Check that files can be read to the end and that their first records carry the adapter's required keys.

    Reads compressed files whole (a truncated one shows only at its end) unless an earlier night has `parsed` them, by digest;
    plain ones for their beginning. Files of a folder may be empty, not all of them. Raises SourceError naming file, line and key.
    """
    listing = list_files(path, kind)
    checked: list[InputFile] = []
    sampled: list[Mapping[str, Any]] = []
    for file in listing.files:
        shape = recognise(file)
        if shape is not None:
            _check_format(file, shape.format, adapter)
            _check_columns(file, shape, kind, adapter)
            first = list(islice(records(Split(file, shape)), SAMPLED))
            seen = [_flat(record.fields, adapter) for record in first if isinstance(record.fields, dict)]
            if seen and (missing := adapter.absent(kind, seen)):
                raise SourceError(_absent(file, shape, kind, adapter, missing, seen))
            sampled += seen
            shape = shape if first else None
            if not (parsed and digest_of(file) in parsed):
                require_whole(file)
        checked.append(InputFile(file, listing.name(file), file.stat().st_size, shape))
    if all(file.shape is None for file in checked):
        what = f"the file {path} is empty" if path.is_file() else f"all files of the folder {path} are empty"
        raise SourceError(f"{kind}: {what}")
    if kind == "reviews":
        _check_words(path, adapter, sampled)
    return checked


_TOLD: dict[Format, str] = {"json": "JSON", "literals": "Python literals", "csv": "a CSV", "parquet": "Parquet"}


def _check_format(file: Path, form: Format, adapter: Adapter) -> None:
    if form in adapter.formats:
        return
    fitting = {"literals": ["amazon2014"], "csv": ["csv"], "parquet": ["parquet"], "json": ["jsonl"]}[form]
    wanted = ", ".join(_TOLD[known] for known in sorted(adapter.formats))
    raise SourceError(f"{file}: this is {_TOLD[form]}: say SOURCE={fitting[0]}. SOURCE={adapter.name} reads {wanted}")


def _check_columns(file: Path, shape: Shape, kind: InputKind, adapter: Adapter) -> None:
    """Raise SourceError where a column that is read occurs twice, since nobody says which of them counts."""
    read = {key.split(".")[0] for keys in adapter.fields(kind).values() for key in keys}
    twice = [name for name in dict.fromkeys(shape.columns) if name in read and shape.columns.count(name) > 1]
    if twice:
        raise SourceError(
            f"{file}: the column {twice[0]} occurs {shape.columns.count(twice[0])} times; rename all but one"
        )


def _flat(fields: dict[str, Any], adapter: Adapter) -> Mapping[str, Any]:
    inner = adapter.inner(fields)
    return {**fields, **inner[0]} if inner and isinstance(inner[0], dict) else fields


def _absent(
    file: Path, shape: Shape, kind: InputKind, adapter: Adapter, missing: list[str], seen: list[Mapping[str, Any]]
) -> str:
    keys = ", ".join(dict.fromkeys(str(key) for record in seen for key in record)).encode(errors="replace").decode()
    fitting = [
        known.name
        for known in ADAPTERS.values()
        if known.name not in ("synthetic", adapter.name)
        and shape.format in known.formats
        and not known.absent(kind, seen)
    ]
    setting = {"reviews": "reviews.columns", "items": "reviews.item_columns", "interactions": "interactions.columns"}[
        kind
    ]
    source = "interactions.source: " if kind == "interactions" else "SOURCE="
    values = [name for name in shape.columns if name and (number(name), adapter.moment(name)) != (None, None)]
    if shape.format == "csv" and values:
        # What stands there is not for a message, which is kept.
        return (
            f"{file}: the first line of the CSV names no columns: one of its {len(shape.columns)} fields is a number or a date. "
            f"Put a line of names before it; {kind} of source {adapter.name} need {', '.join(missing)}"
        )
    hint = (
        f"These are the keys of {source}{' or '.join(fitting)}."
        if fitting
        else f"Say which they are in {setting}, or choose another source."
    )
    names = f"key{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    return (
        f"{file}: {kind} of source {adapter.name} need the {names}, absent from the first {len(seen)} records, "
        f"which have {keys}. {hint}"
    )


def _check_words(path: Path, adapter: Adapter, seen: list[Mapping[str, Any]]) -> None:
    """Raise SourceError where no record, of any file, has words under the key for them, and another key has."""
    keys = adapter.reviews.get("text", ())
    if not keys or any(found(record, keys) is not None for record in seen):
        return
    known = {key for of_field in adapter.reviews.values() for key in of_field}
    words = {
        name: sum(_count_words(record.get(name)) for record in seen) / len(seen)
        for name in dict.fromkeys(key for record in seen for key in record)
        if isinstance(name, str) and name not in known
    }
    likely = max(words, key=words.__getitem__, default=None)
    if likely is not None and words[likely] >= 3:
        raise SourceError(
            f"{path}: no review of the first {len(seen)} has a text under {' or '.join(keys)}, and {likely} has words. Say "
            f"`reviews: {{columns: {{text: {likely}}}}}` in the configuration, or `text: null` there if these reviews have no words"
        )


def _count_words(value: Any) -> int:
    return len(_WORD.findall(value)) if isinstance(value, str) and "://" not in value else 0


def splits(file: InputFile) -> list[Split]:
    """Parts of a file that are read side by side, each with the number of its first line.

    Plain files whose records lie on lines are cut at the ends of lines every `SPLIT_BYTES`, Parquet files into row groups;
    any other file is one part. Reads plain files once, to count their lines.
    """
    path, shape = file.path, file.shape
    if shape is None:
        return []
    if shape.format == "parquet":
        return _row_groups(path, shape)
    by_line = shape.by_line and shape.format in ("json", "literals")
    if not by_line or file.bytes <= SPLIT_BYTES or compression(path) != "none":
        return [Split(path, shape)]
    found_splits, line, start = [], 1, 0
    with path.open("rb") as stream:
        while chunk := stream.read(SPLIT_BYTES):
            chunk += stream.readline()
            end = start + len(chunk)
            found_splits.append(Split(path, shape, start, end, line))
            line, start = line + chunk.count(b"\n"), end
    return found_splits


def _row_groups(path: Path, shape: Shape) -> list[Split]:
    metadata = pq.read_metadata(path)
    found_splits, row = [], 1
    for group in range(metadata.num_row_groups):
        found_splits.append(Split(path, shape, group, group + 1, row))
        row += metadata.row_group(group).num_rows
    return found_splits


def file_records(file: InputFile) -> Iterator[Record]:
    """All records of a file, one after the other."""
    if file.shape is not None:
        yield from records(Split(file.path, file.shape))
