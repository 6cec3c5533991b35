"""Models with several seeds held against one another, user by user: what quality.py and ablations.py have in common."""

import numpy as np

from persona_pipeline.evaluate.results import Results
from persona_pipeline.evaluate.significance import compare

Difference = dict[str, float]


def seeds_of(results: Results, model: str) -> list[int]:
    """Places of a model's runs."""
    places = [place for place, run in enumerate(results.runs) if run.model == model]
    if not places:
        raise KeyError(f"{model} was not evaluated")
    return places


def values(results: Results, slice_name: str, model: str, column: str) -> np.ndarray:
    """(users of the slice, seeds) of one metric, `ndcg@10`."""
    found: np.ndarray = results.values[slice_name][:, seeds_of(results, model), results.columns.index(column)]
    return found


def mean(results: Results, slice_name: str, model: str, column: str) -> float:
    """Over users and seeds; nan where nobody is in the slice."""
    return float(values(results, slice_name, model, column).mean()) if slice_name in results.values else float("nan")


def spread(results: Results, model: str, column: str) -> float:
    """Standard deviation over seeds of the mean over users; 0 with one seed."""
    of_seeds = values(results, "all", model, column).mean(axis=0)
    return float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else 0.0


def difference(results: Results, slice_name: str, model: str, reference: str, column: str = "ndcg@10") -> Difference:
    """Paired difference of a model to another, each the mean over its seeds, with the 95% interval over users."""
    pair = (values(results, slice_name, name, column).mean(axis=1) for name in (model, reference))
    found = compare(*pair)
    parts = {"difference": found.value, "low": found.low, "high": found.high, "p": found.p_value}
    return {name: round(float(part), 4) for name, part in parts.items()}


def told(found: Difference) -> str:
    """As `+.0123 (+.0045 +.0201)`."""
    return "{difference:+.4f} ({low:+.4f} {high:+.4f})".format(**found)
