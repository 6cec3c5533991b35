"""Vectors of a release: scores equal the kernel's, and what is held is what is asked about."""

from pathlib import Path

import numpy as np
import pytest
import served
from helpers import put

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.score.topk.kernel import exact_scores
from persona_pipeline.serving import Recommendations
from persona_pipeline.serving.online import Online
from persona_pipeline.warehouse import Warehouse


@pytest.fixture(scope="module")
def online(shop_served: Path) -> Online:
    return Recommendations(shop_served)._snapshot.online


def test_scores_are_the_kernels(online: Online) -> None:
    ranking = online._ranking
    items = ranking.item_index.item_ids.tolist()
    for user in ("ana", "ben", "cleo", "dan"):
        history = online._history(user)
        assert history is not None
        exact = exact_scores(
            ranking.item_index, history.vectors, np.arange(len(items))[None], history.prior, history.scales
        ).scores[0]
        # Rounding each share to nine digits moves a score by half a billionth for each.
        np.testing.assert_allclose(online.scores(user, items), exact, rtol=0, atol=0.5e-9 * (len(history.parts) + 4))


def test_a_user_is_the_stored_vector(online: Online, shop_served: Path) -> None:
    stored = Warehouse(shop_served).read("user_vectors", where="user_id = 'ana'")["vector"][0].as_py()
    history = online._history("ana")
    assert history is not None
    np.testing.assert_allclose(history.vectors[0], stored, atol=1e-6)


def test_margin_is_the_lead_over_the_second_best(online: Online) -> None:
    ranking, history = online._ranking, online._history("cleo")
    assert history is not None
    near = {
        str(persona): float(vector @ history.vectors[0])
        for persona, vector in zip(ranking.persona_ids, ranking.item_index.vectors.astype(np.float64), strict=True)
        if persona in ("strap-1", "strap-2")
    }
    first, second = sorted(near, key=lambda persona: -near[persona])
    found = online.nearest("cleo", "strap")
    assert (found.persona_id, found.runner_up) == (first, second)
    assert found.margin == pytest.approx(near[first] - near[second], abs=1e-12)
    alone = online.nearest("cleo", "picks")
    assert (alone.persona_id, alone.margin, alone.runner_up) == ("picks-5", None, None)


def test_an_item_that_lost_its_persona_still_counts_in_a_history(shop_served: Path, online: Online) -> None:
    # cleo met the capo; without its persona and its place in the artefact, its profile is looked up when she comes.
    del online._profiles["profile-capo"]
    online._history.cache_clear()
    assert online.usable("cleo")
    assert "profile-capo" in online._profiles


def test_lists_the_release_fused_lift_scores_asked_for_online(
    tmp_path: Path, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse = {"k": 3, "user_buckets": served.BUCKETS, "candidates": "fuse", "candidates_weight": 0.25}
    monkeypatch.setitem(served.CONFIG, "user_item_topk", fuse)
    made = served.encoder()
    listed = enumerate(["capo", "picks", "tuner"], 1)
    lists = [{"user_id": "ana", "item_id": item, "rank": n, "score": None} for n, item in listed]
    release = Recommendations(served.serve(tmp_path, {**served.tables(made), "candidates": lists}, made))
    items = ["capo", "picks", "strap"]
    lifts = [0.25, 0.25 * 61 / 62, 0.0]
    np.testing.assert_allclose(release.score("ana", items), online.scores("ana", items) + lifts, rtol=0, atol=2e-9)
    assert (release.score("ben", items) == online.scores("ben", items)).all()
    # Of an item she has met, so that it is not in the stored list and is told online.
    shares = {share.kind: share.share for share in release.why("ana", "tuner").contributions}
    assert shares["candidates"] == pytest.approx(0.25 * 61 / 63, abs=1e-9)


def test_an_encoder_that_is_not_there_is_told(tmp_path: Path) -> None:
    put(Warehouse(tmp_path), "encoders", [])
    from persona_pipeline.serving.table_snapshot import TableSnapshot

    with pytest.raises(PipelineError, match="there is no encoder enc9"):
        Online(tmp_path, "enc9", lambda name: TableSnapshot(tmp_path / name), 8)
