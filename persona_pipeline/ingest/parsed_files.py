"""Parse files of reviews into data files of `parsed_reviews`, written by the workers that parse."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from persona_pipeline.contracts import load_contract
from persona_pipeline.sources import reader
from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.files import InputFile
from persona_pipeline.sources.near_duplicates import KEYS, with_text_keys
from persona_pipeline.sources.parsing import REVIEW_SCHEMA, ParsingSettings, review_batches
from persona_pipeline.sources.records import Record
from persona_pipeline.warehouse.data_files import DataFile, written_files


def write_reviews(
    spark: SparkSession,
    files: Sequence[tuple[str, InputFile]],
    adapter: Adapter,
    settings: ParsingSettings,
    folder: Path,
) -> list[DataFile]:
    """Parse files of reviews, each under the name given with it, into data files of `parsed_reviews` in `folder`.

    Workers write what they parse: on their way through the JVM rows cost half as much again as parsing them.
    """
    contract = load_contract("parsed_reviews")

    def parse(read: Iterable[Record]) -> reader.Batches:
        return with_text_keys(review_batches(read, adapter, settings))

    tasks, parsed = reader.in_parts(spark, files, "parsed_file", pa.schema([*REVIEW_SCHEMA, *KEYS]), parse)

    def write(batches: reader.Batches) -> reader.Batches:
        for file in written_files(folder, contract, parsed(batches)):
            yield pa.RecordBatch.from_pylist([file._asdict()])

    written = tasks.mapInArrow(write, "path string, size long, modified long, stats string").collect()
    return [DataFile(**row.asDict()) for row in written]
