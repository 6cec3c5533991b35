"""Clusters: what several reviewers say, each sentence once, in any order of the evidence."""

import random

from fixture_engine import embed

from persona_pipeline.extract.llm.cited import sure_sentences
from persona_pipeline.extract.llm.clusters import SHOWN, clusters
from persona_pipeline.extract.protocol import ItemEvidence, ItemText, ReviewText

SAID = [
    (5.0, "Tuning stays put through rehearsals and evenings."),
    (5.0, "Through evenings and rehearsals the tuning stays put."),
    (4.0, "The tuning stays put through rehearsals."),
    (5.0, "My daughter unwrapped it and kept the wrapping."),
    (5.0, "Unwrapped by my daughter at once, wrapping and all."),
    (2.0, "The varnish peeled within days, leaving splinters."),
    (1.0, "Within days splinters, and the varnish peeled."),
    (5.0, "The varnish peeled within days, leaving splinters!"),
    (5.0, "Great product, highly recommended!"),
    (3.0, "Shipped from Norway inside an enormous crate."),
]


def item_of(said: list[tuple[float, str]]) -> ItemEvidence:
    reviews = tuple(ReviewText(f"r{i}", f"u{i}", "i1", stars, text) for i, (stars, text) in enumerate(said))
    return ItemEvidence(ItemText("i1"), "", reviews)


def found(said: list[tuple[float, str]], most: int = 7) -> list[set[str]]:
    made = clusters(sure_sentences(item_of(said)), embed, most)
    return [{one.review.review_id for one in cluster.members} for cluster in made]


def test_what_several_say_with_like_stars_is_a_cluster() -> None:
    """Nobody else speaks of the crate, and praise alone says nothing."""
    assert found(SAID) == [{"r0", "r1", "r2"}, {"r5", "r6"}, {"r3", "r4"}]
    assert found(SAID, most=1) == [{"r0", "r1", "r2"}]
    first = clusters(sure_sentences(item_of(SAID)), embed, 7)[0]
    assert (first.word in ("tuning", "stays", "rehearsals"), first.liked, first.shown) == (True, True, first.members)


def test_sentences_of_one_cluster_share_its_word() -> None:
    for cluster in clusters(sure_sentences(item_of(SAID)), embed, 7):
        assert all(cluster.word in one.quote.lower() for one in cluster.members)


def test_the_order_of_the_evidence_is_nothing() -> None:
    cited = sure_sentences(item_of(SAID))
    for seed in range(5):
        shuffled = cited.copy()
        random.Random(seed).shuffle(shuffled)
        assert clusters(shuffled, embed, 7) == clusters(cited, embed, 7)


def test_no_sentence_is_in_two_clusters() -> None:
    taken = [one for cluster in clusters(sure_sentences(item_of(SAID)), embed, 7) for one in cluster.members]
    assert len(taken) == len(set(taken))


def test_wishes_doubts_and_other_things_are_not_shown() -> None:
    doubtful = [
        (5.0, "I wish the tuning stays put."),
        (5.0, "Would the tuning stay put?"),
        (5.0, "Better than my old tuning."),
    ]
    assert sure_sentences(item_of(doubtful)) == []


def test_words_that_only_say_what_the_item_is_join_nothing() -> None:
    """All speak of a blue ukulele: that is no point they share, nor is what the item is called."""
    rng = random.Random(0)
    words = ["".join(rng.choices("bcdfgklmaeiou", k=7)) for _ in range(48)]
    said = [(5.0, f"Its blue ukulele recalls {a} and {b}.") for a, b in zip(words[::2], words[1::2], strict=True)]
    assert found(said) == []
    few = sure_sentences(item_of(said[:8]))  # of a few sentences nothing is common
    assert len(clusters(few, embed, 7)) == 1
    assert clusters(few, embed, 7, frozenset({"blue", "ukuleles", "recalls"})) == []


def test_what_nobody_else_says_or_says_in_the_same_words_is_no_cluster() -> None:
    lonely = [(5.0, "It hums through winter nights. It glows beside the kettle."), (4.0, "Norway sent a crate.")]
    assert found(lonely) == []
    assert found([(5.0, "The tuning stays put."), (5.0, "the tuning stays put")]) == []
    assert clusters([], embed, 7) == []


def test_a_thousand_reviewers_make_a_request_no_longer() -> None:
    rng = random.Random(0)
    others = [(5.0, " ".join("".join(rng.choices("bcdfgklmaeiou", k=7)) for _ in range(6)) + ".") for _ in range(1_000)]
    said = [(5.0, f"The tuning stays put through rehearsal, says {n}.") for n in "abcdefghijklmnopqrst"]
    twice = [(5.0, "The tuning stays put through rehearsal. The tuning stays put, through rehearsal, always.")]
    (cluster,) = clusters(sure_sentences(item_of([*others, *said, *twice])), embed, 1)
    assert len(cluster.members) == 22
    assert len(cluster.shown) == SHOWN
    assert len({one.review.user_id for one in cluster.shown}) == SHOWN
