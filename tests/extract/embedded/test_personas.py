"""Remarks to personas, by small items whose right answer is plain."""

from collections.abc import Callable

from persona_pipeline.extract.types import Persona

Personas = Callable[..., list[Persona]]


def test_two_people_who_say_it_differently_are_a_persona(personas: Personas) -> None:
    (one,) = personas((5, "The sound is great."), (4, "Great, warm sound!"), (5, "I love it."))
    assert (one.name, one.stance, one.topic, one.support, one.mean_rating) == (
        "Likes the sound",
        "likes",
        "sound",
        2,
        4.5,
    )
    assert one.description == "People who care about the sound. Reviewers call it great."
    assert one.preference_rationale == "Reviewers like the sound."
    assert {quote.quote for quote in one.evidence} == {"The sound is great.", "Great, warm sound!"}
    assert personas((5, "The sound is great.")) == []
    assert personas((5, "The sound is great."), (5, "the sound is great")) == []  # a copy


def test_silence_where_a_supporter_says_the_opposite(personas: Personas) -> None:
    contrary = (3, "The sound is great. I don't like the sound.")
    assert personas((5, "Great sound."), contrary) == []
    (one,) = personas((5, "Great sound."), (5, "Lovely sound."), contrary)
    assert one.support == 2


def test_those_who_dislike_it_come_last_and_keep_a_place(personas: Personas) -> None:
    blame = [(1, "The sound is terrible."), (2, "Awful sound."), (1, "I hate the sound.")]
    likes, dislikes = personas(*blame, (5, "The knobs are great."), (5, "I love the knobs."))
    assert (likes.name, likes.stance) == ("Likes the knobs", "likes")
    assert (dislikes.name, dislikes.stance, dislikes.support) == ("Faults the sound", "dislikes", 3)
    assert dislikes.description == "People who find fault with the sound. Reviewers call it terrible and awful."


def test_an_adjective_before_the_goods_is_a_property(personas: Personas) -> None:
    (one,) = personas((5, "This is a sturdy strap."), (5, "It is very sturdy."))
    assert (one.name, one.topic) == ("Finds it sturdy", "sturdy")
    assert one.description == "People who look for something sturdy."
    # Praise of the goods themselves says nothing, nor does that of a word in the title.
    assert personas((5, "Great strap."), (5, "The strap is great.")) == []
    assert personas((5, "Great knobs."), (5, "Lovely knobs."), title="Knob set") == []


def test_what_is_said_of_the_goods_by_name_is_a_property(personas: Personas) -> None:
    (one,) = personas((5, "The strap is comfortable."), (5, "This strap is really comfortable."))
    assert (one.name, one.topic, one.support) == ("Finds it comfortable", "comfortable", 2)
    # A solid purchase is not solid, and service is no part of the thing.
    assert personas((5, "A solid purchase."), (5, "It is a solid buy.")) == []
    assert personas((5, "Great customer service."), (5, "The customer service is great.")) == []


def test_two_who_agree_are_both_quoted_whoever_says_it_best(personas: Personas) -> None:
    (one,) = personas((3, "The sound is great. Great sound!"), (3, "The sound is great."))
    assert {quote.quote for quote in one.evidence} == {"Great sound!", "The sound is great."}
    assert len({quote.ref for quote in one.evidence}) == 2


def test_nouns_before_a_sense_are_the_goods_and_the_sense_is_none(personas: Personas) -> None:
    (one,) = personas((5, "These strings sound great."), (5, "Lovely sound."))
    assert (one.name, one.support) == ("Likes the sound", 2)


def test_how_it_does_its_part(personas: Personas) -> None:
    (one,) = personas((5, "It works great."), (4, "This tuner works well with my amp."))
    assert (one.name, one.topic) == ("Likes how it works", "to work")
    assert (one.description, one.preference_rationale) == (
        "People who want it to work well.",
        "Reviewers say that it works well.",
    )
    (one,) = personas((1, "It carries badly."), (2, "It carries terribly."), (1, "It carries poorly."))
    assert (one.name, one.preference_rationale) == ("Faults how it carries", "Reviewers say that it carries badly.")
    assert personas((5, "It does well."), (5, "It did great.")) == []


def test_what_it_is_used_for(personas: Personas) -> None:
    (one,) = personas((5, "I use it for recording."), (5, "It is great for recording."))
    assert (one.name, one.description) == ("For recording", "People who want it for recording.")
    assert one.preference_rationale == "Reviewers use it, or find it good, for recording."


def test_who_and_why_by_whole_phrases(personas: Personas) -> None:
    (one,) = personas((5, "I bought this as a gift for my daughter."), (4, "It makes a great present."))
    assert (one.name, one.topic, one.support) == ("Gift givers", "gift", 2)


def test_personas_of_the_same_sentences_are_one(personas: Personas) -> None:
    (one,) = personas((5, "Great sound and great knobs."), (5, "Lovely sound and lovely knobs."))
    assert one.support == 2


def test_at_most_as_many_as_configured_one_who_dislikes_it_among_them(personas: Personas) -> None:
    topics = [
        "It is sturdy",
        "Great sound",
        "Worth every penny",
        "Fast shipping",
        "Very easy to use",
        "I love the knobs",
    ]
    more = ["It is comfortable", "It is very well made", "I am a beginner"]
    said = [(5, f"{topic}{end}") for topic in (*topics, *more) for end in (".", " indeed.")]
    found = personas(*said, (1, "It broke after a week."), (1, "It fell apart."))
    assert len(found) == 7
    assert [persona.stance for persona in found] == ["likes"] * 6 + ["dislikes"]
