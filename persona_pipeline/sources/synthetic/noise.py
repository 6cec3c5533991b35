"""Add noise to clean sentences, as on a review site: typos, shorthand, emoji, HTML, contact details."""

from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.phrases import Draw, Phrase, sentence

_POSITIVE = ("😀", "👍", "❤️", "😍", "🎉", "👌")
_NEGATIVE = ("😡", "👎", "😞", "🙄")
_SHORTHAND = (
    (" because ", " bc "), (" you ", " u "), (" with ", " w/ "), (" and ", " & "), (" really ", " rly "),
    (" without ", " w/o "), (" minutes", " min"), (" please ", " pls "), (" before ", " b4 "), (" are ", " r "),
)  # fmt: skip
_NAMES = ("maria.k", "tom_82", "jh.berger", "lena", "oldfox", "sam.w", "d.okafor", "kim-r")
_DOMAINS = ("example.com", "example.org", "mail.example.net")  # reserved for documentation, RFC 2606


def add_noise(
    config: SyntheticConfig, draw: Draw, sentences: list[str], rating: int, contacts: tuple[Phrase, ...]
) -> str:
    """The text of a review, one to eight sentences joined. Each kind of noise hits its configured share of reviews."""
    if draw() < config.contact_share:
        sentences = [*sentences, _contact(draw, contacts)]
    breaks = draw() < config.html_share
    text = _joined(draw, sentences, breaks)
    if draw() < config.shorthand_share:
        text = _shorthand(draw, text)
    if draw() < config.typo_share:
        text = _misspelt(draw, text)
    if draw() < config.emoji_share:
        signs = _POSITIVE if rating >= 4 else _NEGATIVE if rating <= 2 else ("🤷", "😐")
        text = f"{text} {signs[int(draw() * len(signs))] * (1 + int(draw() * 2))}"
    return text


def _contact(draw: Draw, contacts: tuple[Phrase, ...]) -> str:
    email = f"{_NAMES[int(draw() * len(_NAMES))]}@{_DOMAINS[int(draw() * len(_DOMAINS))]}"
    number = int(draw() * 100)
    phone = (f"(202) 555-01{number:02d}", f"+1 202-555-01{number:02d}", f"020 7946 0{number:03d}")[
        int(draw() * 3)
    ]  # fictitious ranges
    return sentence(contacts[int(draw() * len(contacts))].expand(draw, {"email": email, "phone": phone}))


def _joined(draw: Draw, sentences: list[str], breaks: bool) -> str:
    if not breaks:
        return " ".join(sentences)
    text = sentences[0]
    for following in sentences[1:]:
        text += ("<br />", "<br /><br />", " ", "<br>")[int(draw() * 4)] + following
    return text.replace("'", "&#39;").replace(" & ", " &amp; ") if draw() < 0.7 else f"<p>{text}</p>"


def _shorthand(draw: Draw, text: str) -> str:
    roll = draw()
    if roll < 0.4:
        text = text.lower()
    if roll > 0.25:
        for long, short in _SHORTHAND:
            if draw() < 0.6:
                text = text.replace(long, short)
    return text.replace(". ", " ") if roll > 0.85 else text


def _misspelt(draw: Draw, text: str) -> str:
    """One to three words with two letters swapped, one lost or one doubled. Words with markup or digits stay."""
    words = text.split(" ")
    for _ in range(1 + int(draw() * 3)):
        index = int(draw() * len(words))
        word = words[index]
        bare = word.strip(".,!?")
        if len(bare) < 4 or not bare.isalpha():
            continue
        at = 1 + int(draw() * (len(bare) - 2))
        kind = int(draw() * 3)
        if kind == 0:
            words[index] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        elif kind == 1:
            words[index] = word[:at] + word[at + 1 :]
        else:
            words[index] = word[:at] + word[at] + word[at:]
    return " ".join(words)
