"""What the encoder's choices are worth: `ablations.py --root FOLDER [--seeds N] [--only TEXT ...]`, of a finished backtest.

Every variant is trained on the backtest's own nights under the settings it chose, one head a seed. The weight of
popularity is chosen anew for each on validation, since what a variant changes is often the scale of its scores.
Differences to the default are paired by user, means over seeds, with 95% bootstrap intervals over users.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from _comparing import difference, mean, told
from _encoder_variants import Variant, variants
from rich.console import Console
from rich.table import Table

from persona_pipeline.backtest.completed import CompletedBacktest, read_completed
from persona_pipeline.backtest.variants import KnownData, Scores, least_popularity
from persona_pipeline.config import EncodersConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.loss import in_batch_loss
from persona_pipeline.encoder.text_inputs import liked_interaction_texts
from persona_pipeline.evaluate.results import Evaluated, Results, evaluate
from persona_pipeline.model_selection.score_fusion import POPULARITY_WEIGHTS

SLICES = ("all", "cold", "tail_80")
DEFAULT = "default"
PRIORS = tuple((name, weight) for name in ("prox_knn", "ease") for weight in (1.0, 2.0, 4.0))


def main(root: Path, seeds: int, only: Sequence[str], console: Console) -> dict[str, object]:
    """Train, list, compare."""
    finished = read_completed(root)
    chosen = variants(_own_reviews(finished))
    runs: list[Evaluated] = []
    for name, variant in chosen.items():
        if name == DEFAULT or not only or any(part in name for part in only):
            began = time.perf_counter()
            runs += _runs(finished, name, variant, seeds)
            console.print(f"[dim]{name}: {time.perf_counter() - began:.0f} s[/]")
    dataset = finished.dataset
    results = evaluate(runs, dataset.truth, dataset.slices(), dataset.test.counts(), DEFAULT, cutoffs=(10,))
    _show(results, console)
    return {
        "root": root.name,
        "seeds": seeds,
        "settings": finished.config.model_dump(mode="json"),
        "users": {name: len(results.values[name]) for name in SLICES if name in results.values},
        "variants": _figures(results),
    }


def _runs(finished: CompletedBacktest, name: str, variant: Variant, seeds: int) -> Iterator[Evaluated]:
    """A variant's lists, and with the default those of its scores under collaborative priors, which train nothing."""
    config = finished.config.model_copy(update={"heads": 1})
    encoder, known = _trained(finished.tuning, variant, config)
    scores = Scores.of(encoder, known, finished.asked, variant.newest)
    tuned = least_popularity(scores, encoder.prior, finished.answers, encoder.config, POPULARITY_WEIGHTS)
    priors = {}
    if name == DEFAULT:
        for prior, weight in PRIORS:
            fused = encoder.config.model_copy(update={"prior": prior, "prior_weight": weight})
            fitted = [Prior.fit(known.liked, fused) for known in (finished.tuning, finished.test)]
            fused = least_popularity(scores, fitted[0], finished.answers, fused, POPULARITY_WEIGHTS)
            priors[f"with {prior}, weight {weight:g}"] = fused, fitted[1]
    for seed in range(seeds):
        encoder, known = _trained(finished.test, variant, config.model_copy(update={"seed": config.seed + seed}))
        scores = Scores.of(encoder, known, finished.dataset.users, variant.newest)
        weighed = {name: (tuned, encoder.prior), **priors}
        for told_as, (settings, fitted_prior) in weighed.items():
            yield Evaluated(told_as, seed, settings.model_dump(mode="json"), scores.lists(settings, fitted_prior))


def _trained(known: KnownData, variant: Variant, config: EncodersConfig) -> tuple[Encoder, KnownData]:
    changed, settings = known.changed(variant.change, config)
    if variant.log_q:
        return changed.encoder(settings), changed
    with patch("persona_pipeline.encoder.head_trainer.in_batch_loss", _without_log_q):
        return changed.encoder(settings), changed


def _without_log_q(*arguments: object) -> torch.Tensor:
    """The same loss as if every item were a target equally often."""
    given = list(arguments)
    assert isinstance(given[5], torch.Tensor)
    given[5] = torch.zeros_like(given[5])
    return in_batch_loss(*given)  # type: ignore[arg-type]


def _own_reviews(finished: CompletedBacktest) -> dict[str, np.ndarray]:
    """Vectors of what users wrote themselves, by review; what the cache lacks is embedded."""
    config = finished.pipeline
    found: dict[str, np.ndarray] = {}
    for warehouse in finished.warehouses:  # a long history's oldest interaction is in one of them alone
        rows = liked_interaction_texts(warehouse, config.training_pairs.min_liked_rating)
        vectors = Embedder(config.text_embeddings, warehouse)(rows["text"].to_pylist())
        found.update(zip(rows["interaction_id"].to_pylist(), vectors, strict=True))
    return found


def _figures(results: Results) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for run in results.runs:
        if run.model not in found:
            found[run.model] = {"popularity_weight": run.settings["popularity_weight"]}
            for name in set(SLICES) & set(results.values):
                own = {"ndcg@10": round(mean(results, name, run.model, "ndcg@10"), 4)}
                found[run.model][name] = own | difference(results, name, run.model, DEFAULT)
    return found


def _show(results: Results, console: Console) -> None:
    table = Table("variant", "popularity", *[f"{name}: NDCG@10, difference" for name in SLICES], title="to the default")
    for model, figures in _figures(results).items():
        cells = []
        for name in SLICES:
            found = figures.get(name)
            assert found is None or isinstance(found, dict)
            cells.append(f"{found['ndcg@10']:.4f} {told(found)}" if found else "-")
        table.add_row(model, str(figures["popularity_weight"]), *cells)
    console.print(table)


if __name__ == "__main__":
    torch.set_num_threads(1)  # two threads on busy cores wait for each other far longer than they compute
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder of a finished `persona-pipeline backtest`")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=(), help="variants with any of these in their name")
    given = parser.parse_args()
    if given.root is None:
        print(json.dumps({"skipped": "give --root, the folder of a finished backtest"}))
    else:
        print(json.dumps(main(given.root, given.seeds, given.only, Console(width=170))))
