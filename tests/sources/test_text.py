import unicodedata
from collections.abc import Callable

import pytest
import regex
from costs import grows_no_faster
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.sources.markup import is_markup_residue
from persona_pipeline.sources.personal_data import mask_personal_data
from persona_pipeline.sources.text import clean_text, cut, decode

FLAG_OF_ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
FAMILY = "👨\u200d👩\u200d👧"

CASES = [
    ("nothing to do, 5 stars.", "nothing to do, 5 stars."),
    ("Good &amp; <b>loud</b>&nbsp;amp", "Good & loud amp"),
    ("a<br />b<BR>c", "a b c"),
    ("<p>one</p><p class='x'>two</p>", "one two"),
    ("H<sub>2</sub>O", "H2O"),
    ("3 < 5 and 7 > 2", "3 < 5 and 7 > 2"),
    ("if a <b and c> d", "if a <b and c> d"),
    ("I <3 it", "I <3 it"),
    ("&lt;script&gt;alert(1)&lt;/script&gt;fine", "fine"),
    ("<STYLE>p{color:red}</style >fine", "fine"),
    ("<script>a<script>b</script>c", "c"),
    ("see <!-- not <b>this</b> --> this", "see this"),
    ("what <script> does is said below", "what does is said below"),
    ('<img alt="a > b" src=x>after', "after"),
    ("&amp;quot;quoted&amp;quot; &eacute;t&eacute; &hellip; &#39;s &#x27;s &#150;", "\"quoted\" été … 's 's –"),
    ("rock&reggae, AT&T, x?a=1&copy=2, salt &amp pepper", "rock&reggae, AT&T, x?a=1&copy=2, salt & pepper"),
    ("&#55357;&#56832; &#0; &#99999999;", "😀 \ufffd &#99999999;"),
    ("tab\tand\u0000null\u200b and\n\nlines\u2028more\u3000wide\u00a0hard", "tab andnull and lines more wide hard"),
    ("E\u0301mile: nai\u0308ve 😀", "Émile: naïve 😀"),
    ("safe\u202egnp.exe\u2066 \u200esoft\xadhyphen\ufeff", "safegnp.exe softhyphen"),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("क्\u200dष ശ്രീ ന്\u200d", "क्\u200dष ശ്രീ ന്\u200d"),
    ("a\u200db c\u200c \u200d", "ab c"),
    (f"{FAMILY} ❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈", f"{FAMILY} ❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈"),
    (f"{FLAG_OF_ENGLAND} hid\U000e0061\U000e0062den", f"{FLAG_OF_ENGLAND} hidden"),
    ("newer than any table: \U0001faff \U000323b0", "newer than any table: \U0001faff \U000323b0"),
    ("pair \ud83d\ude00 and half \ud83d.", "pair 😀 and half ."),
    ("don\x92t", "don’t"),
    ("cafÃ© itâ€™s fine", "café it’s fine"),
    ("déjà\u00a0» vu, ÇA VA", "déjà » vu, ÇA VA"),
    ("   ", None),
    ("", None),
    ("<br>&nbsp;\u200b", None),
]


@pytest.mark.parametrize(("raw", "plain"), CASES)
def test_clean_text(raw: str, plain: str | None) -> None:
    assert clean_text(raw, 8_000) == plain


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(1, 60))
def test_whatever_comes_in_is_plain_and_bounded(raw: str, limit: int) -> None:
    text = clean_text(raw, limit)
    if text is None:
        return
    assert 0 < len(text) <= limit
    assert text == " ".join(text.split())
    assert unicodedata.is_normalized("NFC", text)
    assert not {unicodedata.category(c) for c in text} & {"Cc", "Cs", "Co"}
    assert not any(ord(c) & 0xFFFE == 0xFFFE for c in text)
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(11, "The brown"), (9, "The brown"), (10, "The brown"), (100, "The brown fox jumps"), (7, "The bro")],
)
def test_long_text_is_cut_at_a_word_near_the_limit(limit: int, expected: str) -> None:
    assert cut("The brown fox jumps", limit) == expected


def test_text_without_spaces_keeps_all_but_what_is_beyond_the_limit() -> None:
    chinese = "音质清晰，价格合理。" * 30
    assert clean_text("好 " + chinese, 100) == ("好 " + chinese)[:100]
    thai = "ซื้อมาแล้วดีมาก" * 20
    kept = clean_text(thai, 100)
    assert kept is not None
    assert len(kept) >= 97
    assert regex.findall(r"\X", kept) == regex.findall(r"\X", thai)[: len(regex.findall(r"\X", kept))]


@pytest.mark.parametrize("unit", [FAMILY, FLAG_OF_ENGLAND, "🇩🇪", "e\u0323\u0302\u0315", "👍🏽", "क्षि"])
def test_no_cut_inside_a_grapheme(unit: str) -> None:
    text = unicodedata.normalize("NFC", unit) * 40
    graphemes = regex.findall(r"\X", text)
    for limit in range(20, 60):
        kept = cut(text, limit)
        assert kept == "".join(graphemes[: len(regex.findall(r"\X", kept))])
        assert limit - len(kept) < len(unit)


def test_masking_sees_what_the_cut_would_halve() -> None:
    seen = []

    def mask(text: str) -> str:
        seen.append(text)
        return text.replace("020 7946 0018", "[phone]")

    assert clean_text("Ring 020 7946 0018 today", 12, mask) == "Ring [phone]"
    assert seen == ["Ring 020 7946 0018 today"]


@pytest.mark.parametrize("mails", [3, 20, 40, 100, 900])
@pytest.mark.parametrize("before", range(0, 60, 7))
def test_nothing_is_left_of_what_a_cut_halves_however_much_masking_shortens(mails: int, before: int) -> None:
    said = "x" * before + " someone.with.a.long.name@example.org" * mails + " call me: +49 170 1234567 any time" * 400
    plain = clean_text(said, 1_000, mask_personal_data)
    assert plain is not None
    assert "+49" not in plain
    assert "@" not in plain
    assert mails == 900 or len(plain) > 900


def test_a_text_far_above_the_limit_is_cut_before_it_is_read() -> None:
    lengths = []

    def mask(text: str) -> str:
        lengths.append(len(text))
        return text

    assert clean_text("word " * 1_000_000, 100, mask) == ("word " * 20).strip()
    assert lengths[0] <= 800
    # What that first cut leaves open is no text: a tag, a reference, a script.
    assert clean_text("good " + "<a href='" + "x" * 5_000, 100) == "good"
    assert clean_text("good <script>" + "x();" * 5_000 + "</script>", 100) == "good"


ADVERSARIAL: dict[str, Callable[[int], str]] = {
    "letter": lambda n: "a" * n,
    "less than": lambda n: "<" * n,
    "ampersand": lambda n: "&" * n,
    "at": lambda n: "@" * n,
    "digits": lambda n: "1" * n,
    "number of a reference": lambda n: "&#" + "1" * n,
    "nested references": lambda n: "&" + "amp;" * n,
    "open scripts": lambda n: "<script" * n,
    "endless scripts": lambda n: "<script>" * n,
    "crossed scripts": lambda n: "<script></style>" * n,
    "open comments": lambda n: "<!--" * n,
    "open tags": lambda n: "<a b='" * n,
    "open quotes": lambda n: "<a b='" + "x'" * n,
    "marks": lambda n: "a" + "\u0301\u0323" * n,
    "joiners": lambda n: "👨\u200d" * n,
    "flags": lambda n: "🇩" * n,
    "surrogates": lambda n: "\ud83d" * n,
    "misread": lambda n: "â€™x" * n,
    "spaces": lambda n: " " * n,
    "assignments": lambda n: "a=" * n,
    "braces": lambda n: "a{" * n,
    "calls": lambda n: "a.b(" * n,
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_time_grows_with_the_length_and_no_faster(name: str) -> None:
    def work(size: int) -> None:
        text = ADVERSARIAL[name](size)
        clean_text(text, 10 * len(text))
        clean_text(text, 500)
        is_markup_residue(text)
        decode(text.encode("utf-8", "surrogatepass") + b"\xff")

    assert grows_no_faster(work, 50_000)


@pytest.mark.parametrize(
    ("title", "residue"),
    [
        ("var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();\nvar ue_csm = window;", True),
        ("(function(a){return a.b;})(window)", True),
        ("if(window.ue) { uet('be'); }", True),
        (".a-box{margin:0;padding:1px}", True),
        ("P.when('A').execute(function(A){ A.on('x', y); });", True),
        ("const x = document.getElementById('title');", True),
        ("Var: A Novel", False),
        ("Let X = X (Live)", False),
        ("C++ Primer (5th Edition); with code", False),
        ("The Function (Programming) of Criticism", False),
        ("P.S. I Love You {Blu-ray: 2008}", False),
        ("E = mc2: A Biography of the World's Most Famous Equation", False),
        ("Cable, 6 ft (1/4 in. to XLR); Pack of 2 = 12 ft", False),
        ("return (to sender)", False),
        ("Window. A View (2nd ed.)", False),
        ("new Kids (On the Block)", False),
    ],
)
def test_program_text_is_no_title(title: str, residue: bool) -> None:
    assert is_markup_residue(title) is residue


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"plain", ("plain", "utf-8")),
        ("café 😀".encode(), ("café 😀", "utf-8")),
        (b"\xef\xbb\xbf{}", ("{}", "utf-8")),
        ("café “x” €".encode("cp1252"), ("café “x” €", "cp1252")),
        (b"caf\xe9 \x81", ("café \ufffd", "cp1252")),
        ("é è ü".encode() + b"\xe9", ("é è ü\ufffd", "utf-8")),  # one bad byte does not spoil the good ones
        (b"\xed\xa0\xbd\xed\xb8\x80", ("😀", "utf-8")),
        (b"", ("", "utf-8")),
    ],
)
def test_decode(line: bytes, expected: tuple[str, str]) -> None:
    assert decode(line) == expected
