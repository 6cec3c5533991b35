"""The command: from a prepared folder to a sentence-transformers folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import BASE_MODEL
from sentence_transformers import SentenceTransformer
from tiny_base import small_warehouse

from persona_pipeline.config import load_config
from persona_pipeline.core.errors import ConfigError
from persona_pipeline.encoder.finetune.__main__ import main, read_config
from persona_pipeline.encoder.finetune.prepared import prepare


@pytest.fixture
def arguments(tmp_path: Path, tiny_base: Path) -> list[str]:
    config = load_config("local", {"text_embeddings": {"max_tokens": 20}})
    prepare(small_warehouse(tmp_path), tmp_path / "data", BASE_MODEL, config)
    (tmp_path / "config.yaml").write_text("steps: 3\nlearning_rate: 1.0e-3\n", encoding="utf-8")
    options = {
        "data": tmp_path / "data",
        "output": tmp_path / "tuned",
        "base": tiny_base,
        "config": tmp_path / "config.yaml",
    }
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def test_the_output_is_a_model_and_its_record(arguments: list[str], tmp_path: Path, tiny_base: Path) -> None:
    main(arguments)
    model = SentenceTransformer(str(tmp_path / "tuned"), device="cpu", local_files_only=True)
    assert model.max_seq_length == 20
    before = SentenceTransformer(str(tiny_base), device="cpu", local_files_only=True)
    assert not np.allclose(model.encode(["the loud strap"]), before.encode(["the loud strap"]), atol=1e-5)
    training = json.loads((tmp_path / "tuned" / "training.json").read_text())
    assert [step for step, _ in training["losses"]] == [1, 2, 3]
    assert training["data"]["max_tokens"] == 20
    assert training["data"]["text_version"]
    assert 0.09 < training["temperature"] < 0.11
    assert training["temperature"] != 0.1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "data", "tuned", "warehouse"]


def test_an_output_of_the_same_stays_and_of_another_is_refused(arguments: list[str], tmp_path: Path) -> None:
    main(arguments)
    made = (tmp_path / "tuned" / "training.json").stat().st_mtime_ns
    main(arguments)
    assert (tmp_path / "tuned" / "training.json").stat().st_mtime_ns == made
    (tmp_path / "config.yaml").write_text("steps: 4\n", encoding="utf-8")
    with pytest.raises(
        SystemExit, match="tuned is there already and was made from something else; choose another output"
    ):
        main(arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step: 3", "config .*: step: Extra inputs are not permitted"),
        ("batch_size: 1", "batch_size: Input should be greater than or equal to 2"),
        ("temperature: 0.9", "temperature 0.9 is not between min_temperature 0.02 and max_temperature 0.5"),
        ("steps: [", "not valid YAML"),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "absent.yaml")
