"""Which opinions are read off a sentence, and which are not; spaCy's small English pipeline parses."""

import pytest

from persona_pipeline.extract.embedded.grammar import Opinion, distinct, parse

READ = {
    "Great sound.": [("sound", "great", "likes", "attribute")],
    "The sound is great.": [("sound", "great", "likes", "statement")],
    "I love the sound.": [("sound", "love", "likes", "statement")],
    "Love the sound!": [("sound", "love", "likes", "statement")],
    "It sounds great.": [("sound", "great", "likes", "statement")],
    "Sounds terrible.": [("sound", "terrible", "dislikes", "statement")],
    "The build quality is excellent.": [("build quality", "excellent", "likes", "statement")],
    "It is very sturdy.": [("sturdy", "sturdy", "likes", "property")],
    "This is a very sturdy strap.": [("strap", "sturdy", "likes", "kind")],
    "The plot is boring.": [("plot", "boring", "dislikes", "statement")],
    "I use it for recording.": [("for recording", "use", "likes", "use")],
    "It is perfect for beginners.": [("for beginner", "perfect", "likes", "use")],
    "The colour is lovely too.": [("colour", "lovely", "likes", "statement")],
    "This strap is sturdy.": [("sturdy", "sturdy", "likes", "property")],
    "It works well.": [("to work", "well", "likes", "manner")],
    "They stick perfectly to the wall.": [("to stick", "perfectly", "likes", "manner")],
    "It does not work well.": [("to work", "well", "mixed", "manner")],
    "It is too easy.": [("easy", "easy", "mixed", "property")],
    "It will work great.": [],
    "It holds up well.": [],
    "This scene is hilarious.": [("scene", "hilarious", "likes", "statement")],  # a scene is not the item
    # What is denied is kept, to speak against others.
    "The sound is not great.": [("sound", "great", "mixed", "statement")],
    "I don't like the sound.": [("sound", "like", "mixed", "statement")],
    "It is not sturdy.": [("sturdy", "sturdy", "mixed", "property")],
    # Of the writer's own things, of other films, of what somebody else says, nothing.
    "My sound is great.": [],
    "She loved the sound.": [],
    "It is funny that nobody came.": [],
    "He once played in a very funny movie.": [("movie", "funny", "likes", "attribute")],
    "It is a feel-good sound.": [],
    "I went home.": [],
}


def test_constructions_one_by_one() -> None:
    found = dict(zip(READ, parse(list(READ)), strict=True))
    assert {text: [(o.topic, o.word, o.stance, o.form) for o in opinions] for text, opinions in found.items()} == READ


def test_opinions_in_order_with_where_they_stand() -> None:
    (found,) = parse(["Great sound, great sound, and great knobs."])
    assert found == [
        Opinion("sound", "great", "likes", "attribute", 0, 11),
        Opinion("sound", "great", "likes", "attribute", 13, 24),
        Opinion("knob", "great", "likes", "attribute", 30, 41),
    ]


@pytest.mark.parametrize("texts", [[], ["", " ", "👍", "...", "a" * 300]])
def test_nothing_is_read_from_nothing(texts: list[str]) -> None:
    assert [opinion for found in parse(texts) for opinion in found] == []


def test_distinct_keeps_the_order() -> None:
    assert distinct(["b", "a", "b"]) == ["b", "a"]
