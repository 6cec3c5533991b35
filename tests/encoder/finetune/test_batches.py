"""Batches by hand: which texts, which items, and who is no negative of whom."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_base import topical_examples

from persona_pipeline.encoder.finetune.batches import make_batch, rows_of_step
from persona_pipeline.encoder.finetune.examples import Examples, Ragged, item_slots, split

#          ana: strap, tuner      ben: capo         cleo: strap
USERS, TARGETS = [0, 0, 1, 2], [0, 1, 2, 0]
PERSONA_ITEMS = np.array([0, 0, 1, 2, 3])


def examples() -> Examples:
    """Four items, the first with two personas; the capo's persona is all but the strap's second one."""
    slots, filled = item_slots(PERSONA_ITEMS, 4)
    vectors = np.eye(5, dtype=np.float32)
    vectors[3] = 0.96 * vectors[1] + np.sqrt(1 - 0.96**2).astype(np.float32) * vectors[3]
    visible = filled[TARGETS]
    visible[3, 1] = False  # the strap's second persona rests on cleo alone
    return Examples(
        texts=[f"text {n}" for n in range(9)],
        histories=Ragged.of_lengths(np.array([5, 6, 5, 7, 8, 5]), np.array([1, 2, 1, 2])),
        weights=np.array([1, 0.6, 0.4, 1, 0.7, 0.3], np.float32),
        users=np.array(USERS),
        targets=np.array(TARGETS),
        labels=np.array([1, 2, 3, 0]),
        visible=visible,
        persona_texts=np.array([0, 1, 2, 3, 4]),
        persona_vectors=vectors,
        slots=slots,
        filled=filled,
        known=Ragged.of_lengths(np.array([0, 1, 2, 0, 1]), np.array([2, 1, 2])),
    )


def test_each_text_once_and_only_those_of_the_batch() -> None:
    texts, batch = make_batch(examples(), np.array([1, 3]), 0.95)
    assert texts.tolist() == [0, 1, 2, 5, 6, 8]  # personas of strap and tuner, and what ana and cleo liked before
    assert texts[batch.members].tolist() == [6, 5, 8, 5]
    assert batch.offsets.tolist() == [0, 2]
    assert np.allclose(batch.weights, [0.6, 0.4, 0.7, 0.3])
    assert texts[batch.personas].tolist() == [[0, 1], [2, 2]]  # the tuner's empty slot repeats its only persona
    assert batch.filled.tolist() == [[True, True], [True, False]]
    assert batch.targets.tolist() == [1, 0]
    assert batch.visible.tolist() == [[True, False], [True, False]]
    assert np.allclose(batch.log_q.exp(), [0.5, 0.25])  # of four pairs, two have the strap


def test_no_negatives_are_known_positives_and_near_duplicates() -> None:
    _, batch = make_batch(examples(), np.arange(4), 0.95)
    strap, tuner, capo = range(3)
    assert [set(np.flatnonzero(row)) for row in batch.no_negative] == [
        {strap, tuner, capo},  # ana likes strap and tuner; the capo's persona is nearly hers of the strap
        {strap, tuner},
        {strap, capo},  # likewise for ben, from the other side
        {strap, tuner},  # cleo likes the tuner, though no pair says so; her persona of the strap is another one
    ]
    _, strict = make_batch(examples(), np.arange(4), 0.97)
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
    rows, held_out = split(found, 0.2, seed=1)
    assert sorted([*rows, *held_out]) == list(range(len(found)))
    assert len(set(found.users[held_out])) == 12
    assert not set(found.users[rows]) & set(found.users[held_out])
    assert len(split(found, 0.0, seed=1)[1]) == 0
