import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import masking
import pytest
from costs import grows_no_faster

from persona_pipeline.sources.personal_data import mask_personal_data, mask_title
from persona_pipeline.sources.recognisers.phones import MOST_CANDIDATES

LEAKS = Path(__file__).parents[3] / "shared" / "inputs" / "22_leak" / "reviews.jsonl"
FOUND = masking.main()


@pytest.mark.parametrize("split", ["tuning", "held_out"])
@pytest.mark.parametrize(
    ("kind", "floor"),
    [("email", 0.95), ("phone", 0.97), ("card", 1.0), ("account", 1.0), ("ssn", 1.0), ("ip", 1.0), ("address", 0.9)],
)
def test_recall_holds(split: str, kind: str, floor: float) -> None:
    assert FOUND[split]["recall"][kind] >= floor


@pytest.mark.parametrize("split", ["tuning", "held_out"])
def test_precision_holds(split: str) -> None:
    assert FOUND[split]["precision"] >= 0.985
    assert FOUND[split]["negatives_kept"] >= 0.985


def test_the_corpus_is_wide() -> None:
    cases = [json.loads(line) for line in masking.CASES.read_text(encoding="utf-8").splitlines()]
    assert sum(case["kind"] != "none" for case in cases) >= 300
    assert sum(case["kind"] == "none" for case in cases) >= 300
    assert len({case["locale"] for case in cases if case["kind"] == "phone"}) >= 50
    held_out = [case for case in cases if case["split"] == "held_out"]
    assert len(held_out) >= len(cases) // 3


def test_the_score_can_fail() -> None:
    leak: dict[str, Any] = {"text": "see page 1234", "kind": "phone", "spans": [[9, 13]]}
    too_much: dict[str, Any] = {"text": "mail a@example.org", "kind": "none", "spans": []}
    assert masking.scored([leak, too_much]) == {"found": {"phone": [0, 1]}, "negatives_kept": [0, 1], "precision": 0.0}


@pytest.mark.skipif(not LEAKS.exists(), reason="files of leaks are not here")
def test_notations_that_once_leaked() -> None:
    texts = [json.loads(line)["text"] for line in LEAKS.read_text(encoding="utf-8").splitlines()]
    leaks = [text for text in texts if not text.startswith("Invented remark")]
    assert len(leaks) == 10
    assert {mask_personal_data(text) for text in leaks} == {
        "Ring [phone] for spares",
        "Ring [phone]",
        "Ring: [phone]",
        "mail [email]",
    }


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail me: jo.doe+x@mail.example.com!", "mail me: [email]!"),
        ("“bob@example.com”, alice@example.org;eve@example.net", "“[email]”, [email];[email]"),
        ("bob [at] example [dot] co [dot] uk or bob AT GMAIL DOT COM", "[email] or [email]"),
        ("sold @ amazon.com, 5 @ $3, @handle, icon@2x.png", "sold @ amazon.com, 5 @ $3, @handle, icon@2x.png"),
        ("call 555-123-4567 or (555) 123-4567 or +44 20 7946 0958", "call [phone] or [phone] or [phone]"),
        ("(call 415-555-0132)", "(call [phone])"),
        ("Dial 1-312-555-0147 ext. 22, then 0", "Dial [phone], then 0"),
        ("call 415-555-0132 2 times", "call [phone] 2 times"),
        ("電話は０３－１２３４－５６７８です", "電話は[phone]です"),
        ("model 415-555-0132, order no. 5551234567", "model 415-555-0132, order no. 5551234567"),
        ("order by phone: 415-555-0132", "order by phone: [phone]"),
        ("ISBN 978-0-306-40615-7, UPC 0 36000 29145 2", "ISBN 978-0-306-40615-7, UPC 0 36000 29145 2"),
        ("4111 1111 1111 1111, not 4111 1111 1111 1112", "[card], not 4111 1111 1111 1112"),
        ("DE89 3704 0044 0532 0130 00 THANKS, not DE00 3704 0044 0532 0130 00",
         "[account] THANKS, not DE00 3704 0044 0532 0130 00"),
        ("from 91.198.174.192, router at 192.168.100.1, v104.26.10.229", "from [ip], router at 192.168.100.1, v104.26.10.229"),
        ("I live at 5 Rose Court, not 5 Star Court", "I live at [address], not 5 Star Court"),
        ("a 2 TB Portable Drive, 4 Wheel Drive, 100 Gig Hard Drive", "a 2 TB Portable Drive, 4 Wheel Drive, 100 Gig Hard Drive"),
        ("model 550-2, 20 x 30, 1999-2004, $100.00, 12.05.2019", "model 550-2, 20 x 30, 1999-2004, $100.00, 12.05.2019"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_goes_and_what_stays(text: str, masked: str) -> None:
    assert mask_personal_data(text) == masked
    assert mask_personal_data(masked) == masked


def test_titles_keep_numbers_that_are_names_of_things() -> None:
    title = "Cup 555-123-4567 Part No. 800 555 1234, 12 Acacia Avenue (Blu-ray)"
    assert mask_title(title) == title
    assert mask_title("by bob@example.com, pay DE89370400440532013000 or 4111-1111-1111-1111") == (
        "by [email], pay [account] or [card]"
    )


def test_a_text_full_of_numbers_is_masked_to_its_end() -> None:
    numbers = [f"+44 20 7946 {i:04}" for i in range(3 * MOST_CANDIDATES)]
    assert mask_personal_data(", ".join(numbers)) == ", ".join(["[phone]"] * len(numbers))


ADVERSARIAL: dict[str, Callable[[int], str]] = {
    "letter": lambda n: "a" * n + "1@",
    "at": lambda n: "@" * n,
    "letter and at": lambda n: "a@" * n,
    "letter, at, dots": lambda n: "a@" + "1." * n,
    "spelled out": lambda n: "a(at)" * n,
    "spelled dots": lambda n: "a(at)b" + "(dot)b" * n,
    "words at dot": lambda n: "a at b dot " * n,
    "digits": lambda n: "1" * n,
    "single digits": lambda n: "1 2-" * n,
    "part numbers": lambda n: "0171 39-20.012 / " * n,
    "telephones": lambda n: "020 7946 0018, " * (n // 10),
    "cards": lambda n: "4111 1111 1111 1112 " * (n // 10),
    "accounts": lambda n: "DE89 3704 0044 0532 0130 01 " * (n // 10),
    "colons": lambda n: "a:1:b:" * n,
    "dots": lambda n: "1.2.3.4." * n,
    "street names": lambda n: "1 Aa Bb Cc " * n,
    "half a street": lambda n: "a-" * n + "straße x Straße 1",
    "calles": lambda n: "Calle de " * n + "1",
    "hyphens of print": lambda n: "\u2011" * n + "1",
    "context": lambda n: "call " * n + "1 2 3 4 5 6 7",
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_time_grows_with_the_length_and_no_faster(name: str) -> None:
    def work(size: int) -> None:
        text = ADVERSARIAL[name](size)
        mask_personal_data(text)
        mask_title(text)

    assert grows_no_faster(work, 30_000)
