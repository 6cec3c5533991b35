"""Find postal addresses: a street's name with the number of a house, as English, German, Dutch and Romance languages write them.

Precision first: only words that hardly mean anything else make an address alone ("Avenue", "straße"); others ("Drive",
"Place") need a flat, a town with its code, or a verb of living or sending.
"""

import re
from collections.abc import Iterator

_NAME = r"(?:[A-Z][\w'’.-]{0,30}|\d{1,3}(?:st|nd|rd|th))"
_CERTAIN = r"(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Boulevard|Blvd\.?|Lane|Ln\.?|Terrace|Crescent|Parkway|Pkwy\.?)"
_UNCERTAIN = (
    r"(?:Drive|Dr\.?|Court|Ct\.?|Place|Pl\.?|Way|Square|Sq\.?"
    r"|Close|Circle|Cir\.?|Row|Grove|Gardens|Highway|Hwy\.?|Trail|Hill)"
)
_UNIT = r"(?:,? (?:Apartment|Apt|Unit|Suite|Ste|Flat|Room|Floor|#)\.? ?#?\w{1,5}\b)"
_CODE = r"(?:[A-Z]{2} \d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]{2,3} \d{4})"
_TOWN = rf"(?:,? [A-Z][\w'.-]{{1,30}}(?: [A-Z][\w'.-]{{1,30}}){{0,2}},? {_CODE})"
_SIDE = r"(?: (?:NE|NW|SE|SW|N|S|E|W|North|South|East|West)\b)"
_ENGLISH = re.compile(
    rf"[0-9](?<![\w.,$€£#/:-].)[0-9]{{0,4}}[A-Za-z]?(?: [NSEW]\.?)? (?:{_NAME} ){{1,3}}"
    rf"(?:{_CERTAIN}(?![\w'’-]){_SIDE}?{_UNIT}?{_TOWN}?|{_UNCERTAIN}(?![\w'’-]){_SIDE}?(?P<more>{_UNIT}?{_TOWN}?))"
)
_SENDING = re.compile(
    r"\b(?:liv(?:e|es|ed|ing)|resid\w+|moved?|address|located|ship(?:ped|ping)?|sen[dt]|mail(?:ed)?|deliver(?:ed|y)?|return(?:ed)?"
    r"|house|home|office|store|shop|warehouse)\b[^.!?\d]{0,16}$",
    re.IGNORECASE,
)
_MEASURE = re.compile(
    r"\d+ (?:Inch|In|Foot|Feet|Ft|Volt|Watt|Gig|GB|TB|MB|Terabyte|Gigabyte"
    r"|Speed|String|Star|Wheel|Way|Pack|Piece|Year|Day|Minute|Hour|Dr|St)\b\.?",
    re.IGNORECASE,
)
_BOX = re.compile(r"\b(?:P\. ?O\. ?|PO ?|P\.O |Post Office )Box:? #?\d{1,6}\b", re.IGNORECASE)

_HOUSE = r"\d{1,4}(?: ?[a-z])?\b(?![.,]\d)"
# German and Dutch: the kind is the end of the name.
_GERMANIC = re.compile(
    r"(?<![\w-])(?:[A-ZÄÖÜ][a-zäöüß.-]{1,30}[ -])?[A-ZÄÖÜ]?[a-zäöüß-]{0,40}"
    rf"(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.|[Gg]asse|[Aa]llee|straat|gracht|laan) {_HOUSE}"
)
_ROMANCE_LAST = re.compile(
    r"\b(?:[Cc]alle|[Aa]venida|Avda\.|Paseo|Carrer|[Rr]ua|Av\.|Travessa|Via(?:le)?|Corso|Piazza|Largo)"
    r"(?: (?:de|del|della|dei|di|da|do|das|dos|la|las|los|el|l'))*(?: [A-ZÁÉÍÓÚÀ][\w'’.-]{1,30}){1,4}"
    rf"(?:,| n[.º°]+)? ?{_HOUSE}"
)
# A pattern that begins with a set of characters is searched in C: what must not stand before is asked behind the first digit.
_FRENCH = re.compile(
    r"[0-9](?<![\w.,-].)[0-9]{0,3}(?: ?(?:bis|ter|quater))?,? (?:rue|avenue|boulevard|bd|impasse|chemin|quai|allée)"
    r"(?: (?:de|du|des|la|le|les)| (?:l|d)['’])*[ '’]?[A-ZÉÈÎ][\w'’-]{1,30}(?: [A-ZÉÈÎ][\w'’-]{1,30}){0,3}"
)
# What a text with an address must have around a digit: a kind of street or "Box" before it, a capital or a French kind behind.
_NEAR_DIGIT = re.compile(
    r"[0-9](?<![0-9].)(?:(?<=traße .)|(?<=trasse .)|(?<=tr\. .)|(?<=asse .)|(?<=llee .)|(?<=straat .)|(?<=racht .)"
    r"|(?<=laan .)|(?<=[Oo][Xx] .)|(?<=[Oo][Xx] #.)"
    r"|(?<![\w.,$€£#/:-].)[0-9]{0,4}(?:[A-Za-z]| ?bis| ?ter| ?quater)?,?"
    r" (?:[A-Z]|[0-9]{1,3}(?:st|nd|rd|th) |rue |av|bo|bd |im|ch|qu|al))"
)
_GERMANIC_KINDS = ("traß", "trass", "tr. ", "asse ", "llee ", "straat ", "gracht ", "laan ")
_ROMANCE = re.compile(r"[ACLPRTV](?:alle|venida|vda\.|v\.|aseo|arrer|ua|ravessa|ia(?:le)?|orso|iazza|argo) ")
_ROMANCE_SMALL = ("calle ", "avenida ", "rua d")


def streets(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of postal addresses; towns without a street are none."""
    if _NEAR_DIGIT.search(text):
        for match in _ENGLISH.finditer(text):
            sent = match["more"] or _SENDING.search(text[max(0, match.start() - 40) : match.start()])
            if not _MEASURE.match(match[0]) and (match["more"] is None or sent):
                yield match.span()
        yield from (match.span() for match in _FRENCH.finditer(text))
        yield from (match.span() for match in _BOX.finditer(text))
        if any(word in text for word in _GERMANIC_KINDS):
            yield from (match.span() for match in _GERMANIC.finditer(text))
    if _ROMANCE.search(text) or any(word in text for word in _ROMANCE_SMALL):
        yield from (match.span() for match in _ROMANCE_LAST.finditer(text))
