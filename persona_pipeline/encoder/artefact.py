"""Save and load a trained encoder (`Encoder`) as an artefact folder, atomically.

`head.safetensors`, `popularity.parquet`, `profiles.parquet`, `prior.npz` with `prior_items.parquet`, and
`encoder.json`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array, load_npz, save_npz

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.atomic import atomic_folder
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.history_weights import popularity_scales


@dataclass(frozen=True, slots=True)
class Encoder:
    """A trained encoder: everything serving needs, frozen at training time.

    Attributes:
        interaction_map: A, (d, d).
        persona_map: B, (d, d).
        liked_counts: liked interactions by item, events counting by their weight, for the popularity term; an unknown item
            has none.
        prior: item similarities of the collaborative prior.
        config: the settings it was trained with, score fusion weights included.
        reviews_digest: hash of the reviews it was trained from (`warehouse.fingerprints.reviews_digest`).
        profile_hashes: the item embedding of each item it was trained on. They stay with the encoder: new reviews of an item
            move neither its personas nor its users, until an encoder is trained on them.
    """

    encoder_id: str
    base_model: str
    text_version: str
    interaction_map: np.ndarray
    persona_map: np.ndarray
    liked_counts: Mapping[str, float]
    prior: Prior
    config: EncodersConfig
    reviews_digest: str
    profile_hashes: dict[str, str] = field(default_factory=dict)

    def encode_interactions(self, embeddings: np.ndarray) -> np.ndarray:
        """Encode item embeddings of interactions (n, d); returns (n, d) float64, not normalised."""
        encoded: np.ndarray = embeddings.astype(np.float64) @ self.interaction_map.T.astype(np.float64)
        return encoded

    def encode_personas(self, embeddings: np.ndarray) -> np.ndarray:
        """Encode `persona_inputs` (n, d); returns unit persona vectors (n, d), float32."""
        encoded = embeddings.astype(np.float64) @ self.persona_map.T.astype(np.float64)
        unit: np.ndarray = (encoded / np.linalg.norm(encoded, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def popularity_shares(self, item_ids: list[str]) -> np.ndarray:
        """Compute the popularity term of each item's score, (n,) float64."""
        counts = np.array([self.liked_counts.get(item, 0) for item in item_ids], dtype=np.float64)
        shares: np.ndarray = self.config.temperature * self.config.popularity_weight * np.log1p(counts)
        return shares

    def profiles(self, tonights: pa.Table) -> pa.Table:
        """Choose item_id and profile_hash of every item of the run's `profiles`: the encoder's own hash where it has one."""
        items, hashes = (tonights[name].combine_chunks() for name in ("item_id", "profile_hash"))
        kept = pa.array([self.profile_hashes.get(item) for item in items.to_pylist()], pa.string())
        return pa.table({"item_id": items, "profile_hash": pc.coalesce(kept, hashes)})

    def popularity_scales(self, lengths: np.ndarray) -> np.ndarray:
        """Factor of the popularity term for users with `lengths` interactions in their vectors, (n,) float64."""
        scales: np.ndarray = popularity_scales(lengths, self.config.popularity_support)
        return scales

    def prior_onto(self, item_ids: np.ndarray) -> csr_array:
        """Score share that an item of a history adds to each of `item_ids`, at weight one: (prior items, n)."""
        return csr_array(self.prior.onto(item_ids) * (self.config.temperature * self.config.prior_weight))

    def save(self, folder: Path) -> None:
        """Write the artefact; an existing folder is the same encoder and is kept."""
        if folder.is_dir():
            return
        with atomic_folder(folder) as partial:
            save_file(
                {"interaction_map": self.interaction_map, "persona_map": self.persona_map}, partial / "head.safetensors"
            )
            items = sorted(self.liked_counts)
            counts = [self.liked_counts[item] for item in items]
            pq.write_table(
                pa.table({"item_id": pa.array(items, pa.string()), "liked_count": pa.array(counts, pa.float64())}),
                partial / "popularity.parquet",
            )
            pq.write_table(_mapping(self.profile_hashes), partial / "profiles.parquet")
            save_npz(partial / "prior.npz", self.prior.similarities)
            pq.write_table(
                pa.table({"item_id": pa.array(self.prior.item_ids, pa.string())}), partial / "prior_items.parquet"
            )
            about = {
                "encoder_id": self.encoder_id,
                "base_model": self.base_model,
                "text_version": self.text_version,
                "config": self.config.model_dump(mode="json"),
                "reviews_digest": self.reviews_digest,
            }
            (partial / "encoder.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Read an artefact. Raises PipelineError where there is none, or its files are not those `save` writes."""
        if not (folder / "encoder.json").is_file():
            raise PipelineError(f"no encoder artefact at {folder}")
        try:
            return cls._read(folder)
        except (OSError, ValueError, KeyError, SafetensorError, BadZipFile) as error:
            raise PipelineError(
                f"the encoder artefact at {folder} is damaged, or of another version of this program "
                f"({type(error).__name__}: {error}); restore the folder, or serve another encoder"
            ) from error

    @classmethod
    def _read(cls, folder: Path) -> "Encoder":
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
            Prior(
                pq.read_table(folder / "prior_items.parquet")["item_id"].to_numpy(zero_copy_only=False).astype(str),
                csr_array(load_npz(folder / "prior.npz")),
            ),
            EncodersConfig.model_validate(about["config"]),
            about["reviews_digest"],
            dict(zip(*pq.read_table(folder / "profiles.parquet").to_pydict().values(), strict=True)),
        )


def _mapping(hashes: dict[str, str]) -> pa.Table:
    items = sorted(hashes)
    return pa.table(
        {"item_id": pa.array(items, pa.string()), "profile_hash": pa.array([hashes[i] for i in items], pa.string())}
    )
