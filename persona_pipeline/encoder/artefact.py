"""An encoder on disk: `head.safetensors`, `popularity.parquet` and `encoder.json`, in a folder that appears whole or not at all."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from persona_pipeline.config import EncodersConfig
from persona_pipeline.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Encoder:
    """What serving needs, all frozen at training time.

    Attributes:
        interaction_map: A, (d, d).
        persona_map: B, (d, d).
        liked_counts: liked interactions by item, for the popularity term; an unknown item has none.
        config: the settings it was trained with, fusion constants included.
    """

    encoder_id: str
    base_model: str
    text_version: str
    interaction_map: np.ndarray
    persona_map: np.ndarray
    liked_counts: dict[str, int]
    config: EncodersConfig

    def encode_interactions(self, embeddings: np.ndarray) -> np.ndarray:
        """Base embeddings (n, d) to encoded ones (n, d), float64 and not normalised."""
        encoded: np.ndarray = embeddings.astype(np.float64) @ self.interaction_map.T.astype(np.float64)
        return encoded

    def encode_personas(self, embeddings: np.ndarray) -> np.ndarray:
        """Base embeddings (n, d) to unit persona vectors (n, d), float32."""
        encoded = embeddings.astype(np.float64) @ self.persona_map.T.astype(np.float64)
        unit: np.ndarray = (encoded / np.linalg.norm(encoded, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def popularity_shares(self, item_ids: list[str]) -> np.ndarray:
        """The popularity term of each item's score, (n,) float64."""
        counts = np.array([self.liked_counts.get(item, 0) for item in item_ids], dtype=np.float64)
        shares: np.ndarray = self.config.temperature * self.config.popularity_weight * np.log1p(counts)
        return shares

    def save(self, folder: Path) -> None:
        """Write the artefact; a folder already there is the same encoder and stays."""
        if folder.is_dir():
            return
        partial = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(
            {"interaction_map": self.interaction_map, "persona_map": self.persona_map}, partial / "head.safetensors"
        )
        items = sorted(self.liked_counts)
        counts = [self.liked_counts[item] for item in items]
        pq.write_table(
            pa.table({"item_id": pa.array(items, pa.string()), "liked_count": pa.array(counts, pa.int64())}),
            partial / "popularity.parquet",
        )
        about = {
            "encoder_id": self.encoder_id,
            "base_model": self.base_model,
            "text_version": self.text_version,
            "config": self.config.model_dump(mode="json"),
        }
        (partial / "encoder.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.rename(folder)

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Read an artefact. Raises PipelineError where there is none."""
        if not (folder / "encoder.json").is_file():
            raise PipelineError(f"no encoder artefact at {folder}")
        about = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "head.safetensors")
        popularity = pq.read_table(folder / "popularity.parquet")
        counts = dict(zip(popularity["item_id"].to_pylist(), popularity["liked_count"].to_pylist(), strict=True))
        return cls(
            about["encoder_id"],
            about["base_model"],
            about["text_version"],
            tensors["interaction_map"],
            tensors["persona_map"],
            counts,
            EncodersConfig.model_validate(about["config"]),
        )
