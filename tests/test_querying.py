"""docs/querying.md: every example runs, beside a small served warehouse that has seen two nights."""

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import served
from deltalake import DeltaTable
from helpers import put

from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "querying.md").read_text(encoding="utf-8"), re.DOTALL)
OF_SPARK = [example for example in EXAMPLES if "persona_pipeline.spark.session" in example]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("querying")
    made = served.encoder()
    rows = served.tables(made)
    warehouse = served.serve(home / "warehouse", rows, made)
    put(warehouse, "llm_calls", [])
    feed = {"delta.enableChangeDataFeed": "true"}
    DeltaTable(warehouse.path("user_item_topk")).alter.set_table_properties(feed)
    rows["user_item_topk"][0]["item_title"] = "Another"
    served.serve(home / "warehouse", rows, made, date(2024, 7, 1))
    assert Warehouse(home / "warehouse").version("user_item_topk") == 2
    return home


def run(example: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    exec(compile(example, "docs/querying.md", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example not in OF_SPARK])
def test_an_example_runs(
    example: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(example, home, monkeypatch)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("example", OF_SPARK)
def test_an_example_of_spark_runs(
    example: str, home: Path, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The JVM was started elsewhere, and resolves paths against that place.
    run(example.replace("warehouse/", f"{home}/warehouse/"), home, monkeypatch)
    assert capsys.readouterr().out.strip()
