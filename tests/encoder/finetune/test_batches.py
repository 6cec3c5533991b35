"""Batches by hand: which texts, which items, and who is no negative of whom."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_base import topical_examples

from persona_pipeline.encoder.finetune.batches import Batch, make_batch, rows_of_step
from persona_pipeline.encoder.finetune.examples import Examples, Ragged, item_slots, place_of, split

#          ana: strap, tuner      ben: capo         cleo: strap
USERS, TARGETS = [0, 0, 1, 2], [0, 1, 2, 0]
PERSONA_ITEMS = np.array([0, 0, 1, 2, 3])
#           of strap     tuner    capo     picks    strings, which have no persona
EVIDENCE = [[5, 6, 7], [8, 9], [10], [11], [12, 13]]


def examples() -> Examples:
    """Five items, the first with two personas, the last with none; the capo's persona is all but the strap's second one."""
    slots, filled = item_slots(PERSONA_ITEMS, 5)
    vectors = np.eye(5, dtype=np.float32)
    vectors[3] = 0.96 * vectors[1] + np.sqrt(1 - 0.96**2).astype(np.float32) * vectors[3]
    visible = filled[TARGETS]
    visible[3, 1] = False  # the strap's second persona rests on cleo alone
    return Examples(
        texts=[f"text {n}" for n in range(14)],
        evidence=Ragged.of_lengths(np.concatenate(EVIDENCE), np.array([len(texts) for texts in EVIDENCE])),
        histories=Ragged.of_lengths(np.array([1, 4, 0, 3, 1, 4]), np.array([1, 2, 1, 2])),
        weights=np.array([1, 0.6, 0.4, 1, 0.7, 0.3], np.float32),
        users=np.array(USERS),
        places=np.array([0.1, 0.5, 0.9]),
        targets=np.array(TARGETS),
        labels=np.array([1, 2, 3, 0]),
        visible=visible,
        own=np.array([6, 9, 10, -1]),
        persona_texts=np.array([0, 1, 2, 3, 4]),
        persona_vectors=vectors,
        slots=slots,
        filled=filled,
        known=Ragged.of_lengths(np.array([0, 1, 2, 0, 1]), np.array([2, 1, 2])),
        persona_weight=0.5,
        aggregation="softmax",
    )


def batch_of(
    rows: list[int], near_duplicate: float = 0.95, evidence: int = 9, seed: int = 0
) -> tuple[np.ndarray, Batch]:
    return make_batch(examples(), np.array(rows), near_duplicate, evidence, np.random.default_rng(seed))


def test_each_text_once_and_only_those_of_the_batch() -> None:
    texts, batch = batch_of([1, 3])
    # Personas of strap and tuner; evidence of both and of what ana and cleo met, the strings. Not what ana wrote of the tuner.
    assert texts.tolist() == [0, 1, 2, 5, 6, 7, 8, 12, 13]
    strap, tuner, strings = range(3)
    assert batch.members.tolist() == [strings, strap, tuner, strings]
    assert batch.offsets.tolist() == [0, 2]
    assert np.allclose(batch.weights, [0.6, 0.4, 0.7, 0.3])
    assert texts[batch.personas].tolist() == [[0, 1], [2, 2]]  # the tuner's empty slot repeats its only persona
    assert batch.items.tolist() == [strap, tuner]
    assert batch.filled.tolist() == [[True, True], [True, False]]
    assert batch.targets.tolist() == [1, 0]
    assert batch.visible.tolist() == [[True, False], [True, False]]
    assert np.allclose(batch.log_q.exp(), [0.5, 0.25])  # of four pairs, two have the strap


def drawn(rows: list[int], evidence: int, seed: int = 0) -> list[set[int]]:
    """Evidence of each item of the batch and its histories."""
    texts, batch = batch_of(rows, evidence=evidence, seed=seed)
    return [set(texts[part]) for part in np.split(batch.evidence.numpy(), batch.evidence_offsets.numpy()[1:])]


def test_evidence_is_drawn_anew_and_is_never_the_users_own_of_the_target() -> None:
    assert drawn([2], 9) == [{10}, {11}]  # nobody but ben said anything of the capo
    assert drawn([0], 9) == [{5, 7}, {8, 9}]  # ana's tuner is history here, and what she wrote of it stays
    assert drawn([0, 1], 9) == [{5, 7}, {8}, {12, 13}]
    assert drawn([3], 9) == [{5, 6, 7}, {8, 9}, {12, 13}]
    twos = [drawn([3], 2, seed) for seed in range(40)]
    assert all([len(texts) for texts in found] == [2, 2, 2] for found in twos)
    assert {frozenset(found[0]) for found in twos} == {frozenset(pair) for pair in ({5, 6}, {5, 7}, {6, 7})}
    assert drawn([3], 2, 7) == twos[7]


def test_no_negatives_are_known_positives_and_near_duplicates() -> None:
    _, batch = batch_of([0, 1, 2, 3])
    strap, tuner, capo = range(3)
    assert [set(np.flatnonzero(row)) for row in batch.no_negative] == [
        {strap, tuner, capo},  # ana likes strap and tuner; the capo's persona is nearly hers of the strap
        {strap, tuner},
        {strap, capo},  # likewise for ben, from the other side
        {strap, tuner},  # cleo likes the tuner, though no pair says so; her persona of the strap is another one
    ]
    _, strict = batch_of([0, 1, 2, 3], 0.97)
    assert not strict.no_negative[2, strap]


@given(st.integers(2, 90), st.integers(2, 40), st.integers(0, 5))
def test_an_epoch_shows_each_pair_at_most_once(pairs: int, batch_size: int, epoch: int) -> None:
    rows = np.arange(pairs) * 3
    per_epoch = max(pairs // batch_size, 1)
    shown = [rows_of_step(rows, epoch * per_epoch + n, batch_size, 1) for n in range(per_epoch)]
    assert all(len(found) == min(batch_size, pairs) for found in shown)
    together = np.concatenate(shown)
    assert len(set(together)) == len(together)
    assert set(together) <= set(rows)


def test_held_out_users_are_not_trained_on() -> None:
    found = topical_examples()
    rows, held_out = split(found, 0.2)
    assert sorted([*rows, *held_out]) == list(range(len(found)))
    assert len(set(found.users[held_out])) == 12
    assert not set(found.users[rows]) & set(found.users[held_out])
    assert len(split(found, 0.0)[1]) == 0


def test_who_is_held_out_does_not_depend_on_who_else_there_is() -> None:
    places = place_of(f"user {n}" for n in range(1000))
    assert np.array_equal(place_of(["user 7", "user 3"]), places[[7, 3]])
    assert 0 <= places.min() < places.max() < 1
    assert 0.16 < (places < 0.2).mean() < 0.24
