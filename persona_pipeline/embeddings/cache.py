"""Embed texts by a base model through the `text_embeddings` cache, so that each distinct text is embedded once.

Stages hold an `Embedder` and need not know the model, which is loaded at the first unknown text.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.progress import log_progress
from persona_pipeline.embeddings.model import TextModel, model_folder
from persona_pipeline.embeddings.model_names import (
    BASES,
    TUNED,
    model_version,
    trained_from,
    weights_digest,
)
from persona_pipeline.embeddings.vectors import lists_of, vectors_of
from persona_pipeline.warehouse import Warehouse

logger = logging.getLogger(__name__)


def text_hash(text: str) -> str:
    """The text's key in `text_embeddings`: 32 hexadecimal digits. In Spark: `substring(sha2(text, 256), 1, 32)`."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Embedder:
    """Embed texts as L2-normalised float32 vectors (n, d), in the order given; new vectors are committed to the cache.

    A crash costs at most `commit_texts` embeddings. `embedded` counts the texts the model embedded. `base_model` is the
    name of a fine-tuned base; the name of any other base follows from `config`.
    """

    def __init__(self, config: TextEmbeddingsConfig, warehouse: Warehouse, base_model: str | None = None) -> None:
        self.config, self.warehouse = config, warehouse
        self.embedded = 0
        name = f"{config.base_model}@{model_version(config.base_model)}:{config.max_tokens}"
        self.base_model = base_model or name

    def __getstate__(self) -> dict[str, Any]:
        # Each process loads the model itself.
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    def ensure(self, texts: Sequence[str]) -> None:
        """Embed the texts that the cache lacks, without reading vectors back."""
        since = self.warehouse.version("text_embeddings")
        distinct = {text_hash(text): text for text in texts}
        known = set(self._stored(list(distinct), "text_hash")["text_hash"].to_pylist())
        self.embed({key: text for key, text in distinct.items() if key not in known}, since)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of the texts, (n, d)."""
        since = self.warehouse.version("text_embeddings")
        hashes = [text_hash(text) for text in texts]
        distinct = dict(zip(hashes, texts, strict=True))
        known = self.lookup(list(distinct))
        missing = {key: text for key, text in distinct.items() if key not in known}
        for keys, vectors in self._embedded(missing, since):
            known |= dict(zip(keys, vectors, strict=True))
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

    def embed(self, missing: Mapping[str, str], since: int | None) -> None:
        """Embed and commit texts, by their hash, that version `since` of the cache lacks (None: there was none)."""
        for _ in self._embedded(missing, since):
            pass

    def _embedded(self, missing: Mapping[str, str], since: int | None) -> Iterator[tuple[list[str], np.ndarray]]:
        """Embed and commit; yields hashes and vectors, (n, d), of each commit."""
        # Longest first: commits hold texts of like length, and the first batch shows whether memory suffices.
        order = sorted(missing, key=lambda key: (-len(missing[key]), key))
        for start in range(0, len(order), self.config.commit_texts):
            keys = order[start : start + self.config.commit_texts]
            vectors = self._model.encode([missing[key] for key in keys])
            since = self.keep(pa.table({"text_hash": keys, "vector": lists_of(vectors)}), self.base_model, since)
            self.embedded += len(keys)
            count, of = start + len(keys), len(order)
            log_progress(logger, "embedded %d of %d new texts", count, of, done=count, of=of)
            yield keys, vectors

    def keep(self, found: pa.Table, base_model: str, since: int | None) -> int:
        """Add rows of text_hash and vector to the cache, except those another process has added after version `since`.

        Returns the version that holds them.
        """
        rows = found.append_column("base_model", pa.repeat(base_model, found.num_rows))
        return self.warehouse.add_new("text_embeddings", rows, since).version

    @cached_property
    def _model(self) -> "TextModel":
        tuned = TUNED.fullmatch(self.base_model)
        if tuned and weights_digest(Path(self.config.base_model)) != tuned["digest"]:
            raise PipelineError(
                f"the base in {self.config.base_model} is not {self.base_model} any more: its files have changed; "
                "restore the folder, or serve another encoder"
            )
        return TextModel(self.config)


def embedder_of(base_model: str, config: TextEmbeddingsConfig, warehouse: Warehouse) -> Embedder:
    """Build the embedder of a base model by its name, whatever base `config` names.

    Raises PipelineError where the base cannot be found any more.
    """
    tuned = TUNED.fullmatch(base_model)
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
