import random
from collections import Counter

import pytest

from persona_pipeline.sources.synthetic.shop import REASONS
from persona_pipeline.sources.synthetic.vocabulary import load_vocabulary


def test_every_category_has_several_audiences() -> None:
    vocabulary = load_vocabulary(24)
    audiences = Counter(category_id for persona in vocabulary.personas for category_id in persona.cells)
    assert len(vocabulary.personas) == 24
    assert len(vocabulary.categories) == 8
    assert set(audiences.values()) == {6}


@pytest.mark.parametrize("n_personas", [2, 3, 8, 24])
def test_a_shorter_cast_shops_in_fewer_categories(n_personas: int) -> None:
    vocabulary = load_vocabulary(n_personas)
    assert {c.category_id for c in vocabulary.categories} == {c for p in vocabulary.personas for c in p.cells}


def test_ids_are_unique_and_cells_complete() -> None:
    personas = load_vocabulary(24).personas
    assert len({persona.persona_id for persona in personas}) == len({persona.name for persona in personas}) == 24
    assert {len(cell.reasons) for persona in personas for cell in persona.cells.values()} == {REASONS}


def test_every_line_of_a_persona_has_variants_and_expands_to_plain_text() -> None:
    draw = random.Random(0).random
    for persona in load_vocabulary(24).personas:
        lines = [persona.who, persona.headline]
        for cell in persona.cells.values():
            lines += [cell.goal, cell.use, *(side for reason in cell.reasons for side in (reason.good, reason.bad))]
        for line in lines:
            assert line.variants >= 2, f"{persona.persona_id}: {line.source}"
            assert not set("(){}|") & set(line.expand(draw)), line.source


def test_slots_of_common_phrases_are_known() -> None:
    product = {"it", "them", "this", "is", "was", "has", "thing", "part", "time", "who"}
    allowed = {"intro": {"goal"}, "use": {"use"}, "contact": {"email", "phone"}}
    allowed |= {"good": {"good"}, "good_next": {"good"}, "bad": {"bad"}, "bad_next": {"bad"}, "mild": {"bad"}}
    for kind, lines in load_vocabulary(24).phrases.items():
        for line in lines:
            assert line.slots <= product | allowed.get(kind, set()), f"{kind}: {line.source}"


def test_the_truth_is_not_in_reviewers_words() -> None:
    for persona in load_vocabulary(24).personas:
        for category_id, cell in persona.cells.items():
            truth = persona.truth_text(category_id).lower()
            for reason in cell.reasons:
                assert reason.good.expand(lambda: 0.0).lower() not in truth
