"""The packaged vocabulary holds what the code relies on."""

import re

from persona_pipeline.extract.embedded.vocabulary import load_vocabulary


def test_names_are_two_or_three_words_once_filled() -> None:
    vocabulary = load_vocabulary()
    further = (vocabulary.theme, vocabulary.owners, vocabulary.general, vocabulary.critical_general)
    forms = [*(motive.names for motive in vocabulary.motives), *(wording.names for wording in further)]
    for names in forms:
        for name in names:
            filled = name.format(people="guitarists", Thing="Clamp")
            assert len(filled.split()) in (2, 3), name
            assert filled[0].isupper(), name
        assert any("{people}" not in name for name in names), names


def test_no_two_motives_share_a_name_and_parents_exist() -> None:
    vocabulary = load_vocabulary()
    names = [name for motive in vocabulary.motives for name in motive.names]
    assert len(names) == len(set(names))
    for motive in vocabulary.motives:
        assert motive.parent is None or vocabulary.by_key[motive.parent].critical == motive.critical


def test_sentences_end_and_leave_no_slot_unfilled() -> None:
    vocabulary = load_vocabulary()
    for motive in vocabulary.motives:
        for sentence in motive.describe:
            assert re.fullmatch(r"[A-Z][^{}]*\.", sentence), sentence
        assert bool(motive.mentions) == ("{mentions}" in motive.detail), motive.key
        for lead in motive.rationale:
            assert not lead.endswith((".", ":")), lead


def test_motives_recognise_their_own_prototypes() -> None:
    """Most prototypes match a cue of their own motive; a cue that matches none of them is likely broken."""
    for motive in load_vocabulary().motives:
        assert any(motive.cue.search(prototype) for prototype in motive.prototypes), motive.key


def test_prototype_blocks_line_up() -> None:
    vocabulary = load_vocabulary()
    texts, starts = vocabulary.prototypes
    assert len(starts) == len(vocabulary.motives) + 1
    assert texts[starts[1]] == vocabulary.motives[1].prototypes[0]
    assert texts[starts[-1] :] == list(vocabulary.empty)
