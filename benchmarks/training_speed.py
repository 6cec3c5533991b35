"""Training the head on cached embeddings against encoding every batch's histories anew: `training_speed.py [FILE.json.gz] ...`.

Both take the same optimiser steps on the same number of pairs, each with a history of review texts, and the same threads. Ours
embeds each distinct text once and trains on the vectors; the naive way has the base model encode the history of every pair of
every batch, with sentence-transformers' own `encode`, and then takes the step. Persona embeddings are given to both. `ratio` is
of the steps alone; `ratio_with_embedding_once` counts what ours embeds beforehand, spread over one run of `--steps` steps. The
naive way is timed on a few of them.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encode import review_texts
from sentence_transformers import SentenceTransformer

from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.embeddings.model import model_folder
from persona_pipeline.encoder.head_trainer import train_head
from persona_pipeline.encoder.history_weights import history_weights
from persona_pipeline.encoder.training_examples import ItemSlots, TrainingExamples
from persona_pipeline.warehouse import Warehouse

HISTORY, ITEMS, PERSONAS = 5, 200, 5
NAIVE_STEPS = 3


def catalogue_of(dimensions: int) -> ItemSlots:
    """Random personas of ITEMS items."""
    vectors = np.random.default_rng(0).standard_normal((ITEMS * PERSONAS, dimensions), dtype=np.float32)
    ids = np.array([f"p{n:05d}" for n in range(len(vectors))])
    items = np.repeat([f"i{n:05d}" for n in range(ITEMS)], PERSONAS)
    return ItemSlots.build(ids, items, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def examples_from(
    embeddings: np.ndarray, targets: np.ndarray, catalogue: ItemSlots, half_life: float
) -> TrainingExamples:
    """From embedded histories, (pairs, HISTORY, d), one pair of each user, and the row of its item, (pairs,)."""
    weights = history_weights(np.arange(HISTORY), np.array([HISTORY]), half_life).astype(np.float32)
    items = torch.from_numpy(targets)
    return TrainingExamples(
        profiles=torch.from_numpy(np.einsum("h,phd->pd", weights, embeddings)),
        targets=items,
        labels=catalogue.slots[items, 0],
        visible=catalogue.filled[items],
        users=torch.arange(len(targets)),
        weights=torch.ones(len(targets)),
    )


def main(texts: list[str], pairs: int, steps: int, batch_size: int) -> dict[str, Any]:
    """Samples a second of both ways."""
    rng = np.random.default_rng(0)
    histories = rng.integers(0, len(texts), (pairs, HISTORY))
    targets = rng.integers(0, ITEMS, pairs)
    base = TextEmbeddingsConfig()
    config = EncodersConfig(steps=steps, batch_size=batch_size)
    with tempfile.TemporaryDirectory() as scratch:
        embedder = Embedder(base, Warehouse(scratch))
        catalogue = catalogue_of(embedder(["loads the model"]).shape[1])
        started = time.perf_counter()
        vectors = embedder(texts)
        embedding = time.perf_counter() - started
    print(f"{len(texts)} texts embedded once: {embedding:.1f} s", file=sys.stderr, flush=True)

    one_step = config.model_copy(update={"steps": 1})
    examples = examples_from(vectors[histories], targets, catalogue, config.half_life)
    train_head(examples, catalogue, one_step)  # the first optimiser of a process loads modules
    started = time.perf_counter()
    train_head(examples, catalogue, config)
    training = time.perf_counter() - started
    print(f"{steps} steps of ours: {training:.2f} s", file=sys.stderr, flush=True)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(str(model_folder(base.base_model)), device=device, local_files_only=True)
    model.max_seq_length = base.max_tokens
    started = time.perf_counter()
    for step in range(NAIVE_STEPS):
        rows = rng.permutation(pairs)[:batch_size]
        read = [texts[i] for i in histories[rows].ravel()]
        found = model.encode(read, normalize_embeddings=True, show_progress_bar=False)
        batch = found.reshape(len(rows), HISTORY, -1)
        train_head(examples_from(batch, targets[rows], catalogue, config.half_life), catalogue, one_step)
        print(f"naive step {step + 1}: {time.perf_counter() - started:.1f} s so far", file=sys.stderr, flush=True)
    naive = NAIVE_STEPS * batch_size / (time.perf_counter() - started)
    ours, with_embedding = steps * batch_size / training, steps * batch_size / (training + embedding)
    return {
        "ratio": round(ours / naive),
        "ratio_with_embedding_once": round(with_embedding / naive, 1),
        "samples_per_second": round(ours),
        "samples_per_second_with_embedding_once": round(with_embedding, 1),
        "samples_per_second_naive": round(naive, 2),
        "texts": len(texts),
        "pairs": pairs,
        "batch_size": batch_size,
        "steps": steps,
        "passes_over_pairs": round(steps * batch_size / pairs, 1),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="JSON lines of reviews, plain or gzip")
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--steps", type=int, default=EncodersConfig().steps)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    some = review_texts(arguments.file, arguments.texts)
    print(json.dumps(main(some, arguments.pairs, arguments.steps, arguments.batch_size)))
