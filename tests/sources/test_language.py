import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.sources.language import language_of
from persona_pipeline.sources.text import clean_text

SENTENCES = Path(__file__).parents[1] / "fixtures" / "languages.jsonl"
INSTRUMENTS = (
    Path(__file__).parents[3] / "shared" / "data" / "amazon_musical_instruments" / "Musical_Instruments_5.json.gz"
)


def test_sentences_of_reviews_in_many_languages() -> None:
    cases = [json.loads(line) for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    told = Counter((case["language"], language_of(case["text"])) for case in cases)
    right = sum(count for (language, found), count in told.items() if language == found)
    assert len({case["language"] for case in cases}) >= 20
    assert right >= 0.98 * len(cases)
    assert all(found in (language, None) for language, found in told)


@pytest.mark.parametrize("text", ["", "ok", "gift!", "B0002E1G5C", "12345 67890 12345", ":) :) :) :) :)", "👍👍👍"])
def test_what_is_no_language_has_none(text: str) -> None:
    assert language_of(text) is None


def test_names_are_those_of_the_standard() -> None:
    assert language_of("הכבל נשבר אחרי שבועיים והמוכר לא ענה.") == "he"
    assert language_of("這個產品非常好，推薦給所有初學者，音質清晰。") == "zh"


@pytest.mark.parametrize("plane", range(17))
def test_no_character_of_clean_text_is_refused(plane: int) -> None:
    # The detector takes no noncharacters: they are the last two of every plane.
    for code in (0, 0x7F, 0x80, 0xFFFD, 0xFFFE, 0xFFFF):
        text = clean_text(f"This is the best guitar strap {chr(plane << 16 | code)} ever", 100)
        assert text is not None
        assert language_of(text) == "en"


@given(st.text(alphabet=st.characters(), max_size=300))
def test_clean_text_is_never_refused(raw: str) -> None:
    found = language_of(clean_text(raw, 250) or "")
    assert found is None or len(found) == 2


def test_the_beginning_decides() -> None:
    english = "This is the best guitar strap I have ever owned, very comfortable. " * 4
    assert language_of(english + "Der Verstärker klingt super und ist gut verarbeitet. " * 50) == "en"


@pytest.mark.skipif(not INSTRUMENTS.exists(), reason="the reviews of instruments are not here")
def test_english_reviews_are_english() -> None:
    with gzip.open(INSTRUMENTS, "rt", encoding="utf-8") as file:
        texts = [clean_text(json.loads(line).get("reviewText") or "", 8_000) for line in file]
    told = Counter(language_of(text) for text in texts if text)
    assert told["en"] / told.total() >= 0.997
