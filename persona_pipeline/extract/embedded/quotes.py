"""A cluster's remarks become its quotes: the few that speak best for it, the representative first."""

from collections import defaultdict

import numpy as np

from persona_pipeline.extract.embedded.clusters import Cluster
from persona_pipeline.extract.embedded.reading import Reading, reviewers
from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.tone import is_negation
from persona_pipeline.extract.embedded.vocabulary import Motive
from persona_pipeline.extract.embedded.words import Background, is_content, word_set

MOST = 5  # quotes of a persona at most
_HEDGES = word_set("but although though however guess yet if would")
_OTHERS = word_set("other others another previous")
# "It also..." and "However, ..." lean on a sentence that is not quoted.
_LEANING = word_set(
    """and but so however also it they this that these those he she which because or then plus though"""
)


def choose_quotes(cluster: Cluster, item: Reading) -> tuple[list[Remark], list[tuple[Remark, Motive]]]:
    """The cluster's own quotes, the most telling first, and what else the same people say; at most MOST in all."""
    own = _own(cluster, item)
    said = {remark.words for remark in own}
    beside = [(remark, motive) for remark, motive in _beside(cluster, item) if remark.words not in said]
    return own[: MOST - len(beside)], beside


def _own(cluster: Cluster, item: Reading) -> list[Remark]:
    """One quote per reviewer, no wording twice."""
    centroid = cluster.centroid
    scores = {id(r): round(_telling(r, centroid, cluster, item.background), 4) for r in cluster.remarks}
    picked: list[Remark] = []
    heard: set[object] = set()
    for remark in sorted(
        cluster.remarks, key=lambda r: (-scores[id(r)], r.quote, r.review.review_id, r.sentence.start)
    ):
        if remark.review.user_id not in heard and remark.words not in heard:
            picked.append(remark)
            heard |= {remark.review.user_id, remark.words}
    return picked


def _beside(cluster: Cluster, item: Reading) -> list[tuple[Remark, Motive]]:
    """For people, up to two things they value; for what people value, who they are, else what else they value."""
    if cluster.motive is None or cluster.critical:
        return []
    motives = item.vocabulary.motives
    reviews = {remark.review.review_id for remark in cluster.remarks}
    inside = {id(remark) for remark in cluster.remarks}
    said: dict[int, list[Remark]] = defaultdict(list)
    for remark in item.remarks:
        beside = remark.review.review_id in reviews and id(remark) not in inside
        if beside and remark.stance == "for" and remark.fits.any():
            said[int(remark.fits.argmax())].append(remark)
    said.pop(cluster.motive.index, None)
    ranked = sorted(said, key=lambda j: (-reviewers(said[j]), j))
    who = [j for j in ranked if motives[j].tells_who and reviewers(said[j]) > 1]
    what = [j for j in ranked if not motives[j].tells_who]
    found = []
    for j in who[:1] if who and not cluster.motive.tells_who else what[:2]:
        best = min(
            said[j], key=lambda r: (_length(r) - float(r.fits[j]) - 0.05 * (r.tone > 0), r.quote, r.review.review_id)
        )
        found.append((best, motives[j]))
    return found


def _telling(remark: Remark, centroid: np.ndarray, cluster: Cluster, background: Background) -> float:
    """How well a remark speaks for its cluster, and how well it reads on its own."""
    content = [word for word in remark.words if is_content(word)]
    known = [word for word in content if background.is_known(word)]
    density = sum(min(background.rarity(word), 3.0) for word in known) / (3.0 * max(len(remark.words), 1))
    fit = float(remark.fits[cluster.motive.index] or 0.75 * remark.fits.max()) if cluster.motive else 0.0
    score = 0.7 * float(remark.vector @ centroid) + 0.8 * fit + 0.3 * density - 0.3 * max(0.0, remark.emptiness - 0.4)
    score += 0.08 * min(max(remark.tone * (-1 if cluster.critical else 1), -2), 2)
    if not cluster.critical and remark.tone <= 0:  # "I never considered a cheaper one" praises nothing
        score -= 0.12 * any(map(is_negation, remark.words))
    score -= 0.08 * bool(_HEDGES & set(remark.words)) * (not cluster.critical)
    score -= 0.1 * bool(_OTHERS & set(remark.words)) + 0.15 * (remark.words[0] in _LEANING) + _length(remark)
    score -= (
        0.3 * remark.quote.isupper()
        + 0.05 * remark.quote[0].islower()
        + 0.3 * remark.quote.endswith(("?", ":", "..", "…", ","))
    )
    return score - 0.1 * (len(content) - len(known))


def _length(remark: Remark) -> float:
    """What a quote loses for being longer or shorter than is good to read."""
    count = len(remark.quote.split())
    return 0.02 * max(0, count - 22) + 0.05 * max(0, 8 - count)
