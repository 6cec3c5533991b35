"""Our `Embedder` against sentence-transformers' own `encode`: `encode.py [REVIEWS.json.gz] [--texts N] [--rounds N] ...`.

Both embed the same distinct review texts with the same model, tokens and threads, in turns. Ours is all that a night does:
hashes, the look-up in an empty cache, batches by token count, bfloat16 where the CPU has it, and the commit. Theirs is
`encode` with its defaults: 32 texts a batch, float32. Loading is in neither time. Several `--batch-tokens` compare settings of
ours; the last line, JSON, is of the first.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.embeddings.model import has_bfloat16, model_folder
from persona_pipeline.sources.adapters import ADAPTERS
from persona_pipeline.sources.containers import opened
from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write
from persona_pipeline.warehouse import Warehouse

REAL = Path(__file__).parents[2] / "shared/data/amazon_musical_instruments/Musical_Instruments_5.json.gz"
LEAST_COSINE = 0.999


def review_texts(path: Path | None, count: int) -> list[str]:
    """Distinct texts drawn from a file of reviews; by default from real ones if they are there, else from the synthetic shop's."""
    if path is None and not REAL.is_file():
        with tempfile.TemporaryDirectory() as world:
            write(generate(SyntheticConfig()), Path(world))
            return review_texts(Path(world) / "reviews.jsonl.gz", count)
    with opened(path or REAL) as lines:
        rows = [json.loads(line) for line in lines]
    key = next(
        a.reviews["text"][0] for a in ADAPTERS.values() if "text" in a.reviews and a.reviews["text"][0] in rows[0]
    )
    texts = sorted({row[key] for row in rows if row.get(key)})
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[:count]]


def main(texts: list[str], rounds: int, batch_tokens: list[int]) -> dict[str, Any]:
    """Texts a second of both sides, round by round, and how far the vectors agree."""
    configs = {f"ours_{size}": TextEmbeddingsConfig(batch_tokens=size) for size in batch_tokens}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = TextEmbeddingsConfig()
    theirs = SentenceTransformer(str(model_folder(config.base_model)), device=device, local_files_only=True)
    theirs.max_seq_length = config.max_tokens
    seconds: dict[str, list[float]] = {name: [] for name in [*configs, "theirs"]}
    cosines = []
    for n in range(rounds):
        vectors = {}
        for name in seconds if n % 2 == 0 else reversed(seconds):
            if name == "theirs":
                started = time.perf_counter()
                vectors[name] = theirs.encode(texts, normalize_embeddings=True, show_progress_bar=False)
                seconds[name].append(time.perf_counter() - started)
            else:
                vectors[name], took = _ours(configs[name], texts)
                seconds[name].append(took)
            print(f"round {n + 1}, {name}: {len(texts) / seconds[name][-1]:.1f} texts/s", file=sys.stderr, flush=True)
        cosines += [float((vectors[name] * vectors["theirs"]).sum(1).min()) for name in configs]
    ratios = [other / mine for mine, other in zip(seconds[f"ours_{batch_tokens[0]}"], seconds["theirs"], strict=True)]
    if min(cosines) < LEAST_COSINE:
        raise SystemExit(f"a text's vectors have cosine {min(cosines):.6f}, expected at least {LEAST_COSINE}")
    return {
        "ratio_vs_sentence_transformers": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "min_cosine": round(min(cosines), 6),
        "texts": len(texts),
        "texts_per_second": {name: round(len(texts) / statistics.median(took), 1) for name, took in seconds.items()},
        "bfloat16": has_bfloat16(device),
        "device": device,
        "threads": torch.get_num_threads(),
    }


def _ours(config: TextEmbeddingsConfig, texts: list[str]) -> tuple[np.ndarray, float]:
    with tempfile.TemporaryDirectory() as scratch:
        embedder = Embedder(config, Warehouse(scratch))
        embedder(["loads the model"])
        started = time.perf_counter()
        vectors = embedder(texts)
        return vectors, time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="JSON lines, plain or gzip")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[TextEmbeddingsConfig().batch_tokens])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(json.dumps(main(review_texts(arguments.file, arguments.texts), arguments.rounds, arguments.batch_tokens)))
