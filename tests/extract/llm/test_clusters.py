"""Clusters: what several reviewers say, each sentence once, in any order of the evidence."""

import random

from fixture_engine import embed

from persona_pipeline.extract.llm.cited import Cited, all_sentences
from persona_pipeline.extract.llm.clusters import SHOWN, clusters, telling
from persona_pipeline.extract.protocol import ItemEvidence, ItemText, ReviewText

SAID = [
    (5.0, "Tuning stays put through rehearsals and evenings."),
    (5.0, "Through evenings and rehearsals the tuning stays put."),
    (4.0, "The tuning stays put through rehearsals."),
    (5.0, "My daughter unwrapped it on her birthday morning."),
    (5.0, "A birthday present that my daughter unwrapped at once."),
    (2.0, "The varnish peeled within days, leaving splinters."),
    (1.0, "Within days splinters, and the varnish peeled."),
    (5.0, "The varnish peeled within days, leaving splinters!"),
    (5.0, "Great product, highly recommended!"),
    (3.0, "Arrived from Norway inside an enormous crate."),
]


def sentences(said: list[tuple[float, str]]) -> list[Cited]:
    reviews = tuple(ReviewText(f"r{i}", f"u{i}", "i1", stars, text) for i, (stars, text) in enumerate(said))
    return all_sentences(ItemEvidence(ItemText("i1"), "", reviews))


def found(said: list[tuple[float, str]], most: int = 7) -> list[set[str]]:
    made = clusters(telling(sentences(said)), embed, most)
    return [{one.review.review_id for one in cluster} for cluster in made]


def test_what_several_say_with_like_stars_is_a_cluster() -> None:
    """Nobody else speaks of the crate, and praise alone says nothing."""
    assert found(SAID) == [{"r0", "r1", "r2"}, {"r5", "r6"}, {"r3", "r4"}]
    assert found(SAID, most=1) == [{"r0", "r1", "r2"}]


def test_the_order_of_the_evidence_is_nothing() -> None:
    cited = telling(sentences(SAID))
    for seed in range(5):
        shuffled = cited.copy()
        random.Random(seed).shuffle(shuffled)
        assert clusters(shuffled, embed, 7) == clusters(cited, embed, 7)


def test_no_sentence_is_in_two_clusters() -> None:
    taken = [one for cluster in clusters(telling(sentences(SAID)), embed, 7) for one in cluster]
    assert len(taken) == len(set(taken))


def test_words_that_only_say_what_the_item_is_join_nothing() -> None:
    """All speak of a blue ukulele: that is no point they share."""
    rng = random.Random(0)
    words = ["".join(rng.choices("bcdfgklmaeiou", k=7)) for _ in range(48)]
    said = [(5.0, f"This blue ukulele recalls {a} and {b}.") for a, b in zip(words[::2], words[1::2], strict=True)]
    assert found(said) == [{"r0"}]
    few, many = ([*said[:n], (5.0, "A blue ukulele.")] for n in (8, 24))
    assert len(telling(sentences(few))) == 9  # of a few sentences nothing is common
    assert len(telling(sentences(many))) == 24


def test_where_no_two_agree_the_first_review_speaks() -> None:
    lonely = [(5.0, "It hums through winter nights. It glows beside the kettle."), (4.0, "Norway sent a crate.")]
    assert found(lonely) == [{"r0"}]
    assert clusters([], embed, 7) == []
    assert telling(sentences([(5.0, "Great! Love it. Best product.")])) == []


def test_a_thousand_reviewers_make_a_request_no_longer() -> None:
    rng = random.Random(0)
    others = [(5.0, " ".join("".join(rng.choices("bcdfgklmaeiou", k=7)) for _ in range(6)) + ".") for _ in range(1_000)]
    said = [(5.0, f"The tuning stays put through rehearsal, says {n}.") for n in "abcdefghijklmnopqrst"]
    (cluster,) = clusters(telling(sentences([*others, *said])), embed, 1)
    assert len(cluster) == SHOWN
    assert len({one.review.user_id for one in cluster}) == SHOWN
