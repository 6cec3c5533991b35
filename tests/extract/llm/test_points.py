"""What a model chose becomes a persona only as far as sentences of two reviewers bear it out."""

from collections.abc import Callable

import pytest

from persona_pipeline.extract.llm.cited import sure_sentences
from persona_pipeline.extract.llm.clusters import Cluster
from persona_pipeline.extract.llm.points import Pointed, distinct, point_of
from persona_pipeline.extract.llm.replies import Kind, PointReply
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.protocol import ItemEvidence, ItemText, ReviewText

REQUEST = Request("item_personas", "i1", "system", "user", {}, "model", Sampling(100, 0.0, 0), ())


def pointed(
    kind: Kind,
    about: str,
    *said: str,
    word: str = "",
    stars: float = 5.0,
    description: str = "They like it.",
    title: str | None = None,
    shown: int = 6,
) -> Pointed:
    reviews = tuple(ReviewText(f"r{n}", f"u{n}", "i1", stars, text) for n, text in enumerate(said))
    item = ItemEvidence(ItemText("i1", title), "", reviews)
    cited = tuple(sure_sentences(item))
    cluster = Cluster(word or about.split()[-1], stars >= 4, cited, cited[:shown])
    numbers = list(range(1, len(cluster.shown) + 1))
    told = {"sentences": numbers, "about": about, "kind": kind, "description": description}
    reply = PointReply.model_validate(told, context={"sentences": len(numbers)})
    return point_of(item, cluster, reply, REQUEST)


PRAISED = ("The tone is great.", "It has a warm, lovely tone on stage.")


def test_praise_of_one_thing_by_two() -> None:
    found = pointed("likes", "tone", *PRAISED, "Great tone here!", "The tone changes with the strings.").persona
    assert found is not None
    assert (found.name, found.stance, found.topic, found.support) == ("Likes the tone", "likes", "tone", 4)
    assert found.preference_rationale == "Reviewers like the tone."
    assert [quote.quote for quote in found.evidence] == [*PRAISED, "Great tone here!"]
    assert found.request_key == REQUEST.key


def test_the_shared_word_stands_in_where_too_few_say_more() -> None:
    found = pointed("likes", "the warm tone", *PRAISED, word="tone").persona
    assert found is not None
    assert found.name == "Likes the tone"


def test_a_use_is_told_with_its_preposition() -> None:
    said = ("I use it on my jazz bass every day.", "Put it on a jazz bass at once.")
    found = pointed("uses", "jazz bass", *said, description="They use it on a jazz bass.").persona
    assert found is not None
    assert (found.name, found.description) == ("Uses it on a jazz bass", "They use it on a jazz bass.")
    assert pointed("uses", "bass", "My bass loves it so.", "Such a bass it makes.").verdict == "ungrounded"


def test_complaints() -> None:
    found = pointed("dislikes", "clasp", "The clasp is flimsy.", "Terrible clasp, it fell open.", stars=2).persona
    assert found is not None
    assert (found.name, found.stance) == ("Faults the clasp", "dislikes")


@pytest.mark.parametrize(
    "tell",
    [
        lambda: pointed("likes", "tone", "The tone is great."),  # one reviewer
        lambda: pointed("likes", "tone", "The tone is great.", "The tone is great!"),  # in the same words
        lambda: pointed("likes", "tone", *PRAISED, stars=2),  # the stars say otherwise
        lambda: pointed("dislikes", "tone", *PRAISED),
        lambda: pointed(
            "likes", "hum", *PRAISED, word="tone", title="A tone"
        ),  # neither what is claimed nor what is shared
        lambda: pointed("likes", "tone", "The tone is not great.", "It has no great tone."),  # denied
        lambda: pointed("likes", "tone", "The tone reaches the stage.", "A tone comes out."),  # no praise
        lambda: pointed("likes", "strings", "Great feel while strumming the strings.", "Lovely feel on the strings."),
        lambda: pointed("likes", "strap", "This strap is great.", "A great strap for me."),  # the item itself
        lambda: pointed("likes", "time", "We had a great time.", "Had a lovely time with it."),
    ],
)
def test_what_is_not_borne_out_is_refused_with_a_reason(tell: Callable[[], Pointed]) -> None:
    told = tell()
    assert told.persona is None
    assert told.verdict == "ungrounded"
    assert told.detail


def test_no_point_is_no_fault_and_an_address_is() -> None:
    assert pointed("none", "tone", *PRAISED) == Pointed(None, "silent")
    assert pointed("likes", "tone@home", *PRAISED, word="tone").verdict == "unsafe"


@pytest.mark.parametrize(
    ("description", "kept"),
    [
        ("They say that the tone is lovely on stage.", True),
        ("They play every night of a long tour.", False),  # nobody says so
        ("They like the warm tone.", False),  # one says so
        ("The tone is lovely on stage.", False),  # of nobody
        ("They like my lovely tone on stage.", False),
        ("They like the great tone.", False),
    ],
)
def test_a_description_is_the_models_own_as_far_as_two_say_so(description: str, kept: bool) -> None:
    said = ("It has a warm, lovely tone on stage.", "On stage the tone is lovely.")
    found = pointed("likes", "tone", *said, description=description).persona
    assert found is not None
    assert found.description == (description if kept else "People who care about the tone.")


def test_one_persona_a_topic_the_best_supported_and_dislikes_last() -> None:
    few = pointed("likes", "tone", *PRAISED)
    many = pointed("likes", "tone", *PRAISED, "Great tone here!", "Wonderful tone, too.")
    bad = pointed(
        "dislikes", "clasp", *(f"The clasp is {w}." for w in ("flimsy", "bad", "poor", "lousy", "weak")), stars=1
    )
    silent = pointed("none", "tone", *PRAISED)
    found = distinct([few, bad, silent, many])
    assert [(p.verdict, p.persona and p.persona.support) for p in found if p.persona] == [("kept", 4), ("kept", 5)]
    assert [p.verdict for p in found if not p.persona].count("merged") == 1
    assert many.persona in [p.persona for p in found]
