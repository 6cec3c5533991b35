"""A point several reviewers make, as far as a model says that they do; nothing it writes is believed unchecked."""

import pytest

from persona_pipeline.extract.llm.clusters import Cluster, ClusterOutcome, cluster_outcome, clusters_of
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.extract.llm.response_models import ClusterResponse
from persona_pipeline.extract.types import ItemEvidence, ItemText, ReviewText

REQUEST = Request("item_personas", "i1", "system", "user", {}, "model", Sampling(100, 0.0, 0), ())
PRAISED = ("The tone is lovely on stage.", "On stage it has a warm, lovely tone.", "Great tone!")


def item(*said: str, stars: float = 5.0, title: str | None = None, item_id: str = "i1") -> ItemEvidence:
    reviews = tuple(ReviewText(f"{item_id}-{n}", f"user-{n}", item_id, stars, text) for n, text in enumerate(said))
    return ItemEvidence(ItemText(item_id, title), "", reviews)


def only(*said: str, stars: float = 5.0) -> Cluster:
    ((point,),) = clusters_of([item(*said, stars=stars)], [7])
    return point


def answered(point: Cluster, sentences: list[int], description: str = "They like it.") -> ClusterOutcome:
    told = {"sentences": sentences, "description": description}
    reply = ClusterResponse.model_validate(told, context={"sentences": len(point.shown)})
    return cluster_outcome(point, reply, REQUEST)


def test_points_are_topics_that_two_reviewers_speak_of_alike() -> None:
    first = item(*PRAISED, "The clasp is flimsy.", item_id="a")
    second = item("The clasp is flimsy.", "Flimsy clasp.", stars=2, item_id="b")
    praised, blamed, silent = clusters_of([first, second, item("Great.", item_id="c")], [7, 7, 7])
    assert [(p.group.topic, p.group.stance, p.group.people) for p in praised] == [("tone", "likes", 3)]
    assert [(p.group.topic, p.group.stance) for p in blamed] == [("clasp", "dislikes")]
    assert silent == []
    ((one,),) = clusters_of([item(*PRAISED, "Lovely zip.", "The zip is great.")], [1])
    assert one.group.topic == "tone"


def test_a_thing_is_called_as_most_of_them_call_it() -> None:
    plural = only("The strings are great.", "Lovely strings here.", "A great string, this.")
    assert plural.shop.topics["string"] == "strings"
    assert only("It sounds great.", "It really sounds lovely.").shop.topics == {"sound": "sound"}


def test_the_item_itself_and_general_words_are_no_topic() -> None:
    assert list(
        clusters_of([item("This strap is great.", "A great strap."), item("Great time.", "A great time.")], [7, 7])
    ) == [
        [],
        [],
    ]


def test_what_is_unsafe_is_shown_to_nobody() -> None:
    said = ("The tone is great, see www.tone.com for it.", "Great tone, mail me@tone.org.", "Lovely tone.")
    assert list(clusters_of([item(*said)], [7])) == [[]]


def test_a_persona_is_of_the_sentences_the_model_leaves() -> None:
    point = only(*PRAISED)
    assert len(point.shown) == 3
    found = answered(point, [1, 3]).persona
    assert found is not None
    assert (found.name, found.stance, found.topic, found.support) == ("Likes the tone", "likes", "tone", 3)
    assert [quote.quote for quote in found.evidence] == [point.shown[n].remark.quote for n in (0, 2)]
    assert (found.source, found.request_key) == ("llm", REQUEST.key)
    assert found.preference_rationale == "Reviewers like the tone."


@pytest.mark.parametrize("sentences", [[], [2]])
def test_fewer_than_two_sentences_make_no_point(sentences: list[int]) -> None:
    assert answered(only(*PRAISED), sentences) == ClusterOutcome(None, "silent")


def test_an_address_is_unsafe() -> None:
    assert answered(only(*PRAISED), [1, 2], "They write to tone@stage.org.").verdict == "unsafe"


@pytest.mark.parametrize(
    ("description", "kept"),
    [
        ("They say that the tone is lovely on stage.", True),
        ("They play every night of a long tour.", False),  # nobody says so
        ("They like the warm tone.", False),  # one says so
        ("They like the great tone.", False),  # one says so, with a stop word
        ("The tone is lovely on stage.", False),  # of nobody
        ("They like my lovely tone on stage.", False),
        ("They say that the tone is not lovely on stage.", False),  # the opposite, in their words
        ("They wish that the tone was lovely on stage.", False),
        ("They like it.", False),  # says nothing
    ],
)
def test_a_description_is_the_models_own_as_far_as_two_say_so(description: str, kept: bool) -> None:
    point = only(*PRAISED)
    found = answered(point, [n + 1 for n, said in enumerate(point.shown) if "stage" in said.remark.quote], description)
    assert found.persona is not None
    assert (found.persona.description == description) is kept
    assert kept or found.persona.description.startswith("People who care about the tone.")
