"""The audit passes a sound night, and names exactly the measure that a planted fault spoils."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from helpers import AS_OF, Row, one_hot, put_all, shop

from persona_pipeline.config import ReleasesConfig
from persona_pipeline.contracts import table_names
from persona_pipeline.publish import audit as module
from persona_pipeline.publish.audit import EXPECTATIONS, Audit, audit, measure
from persona_pipeline.publish.releases import Release
from persona_pipeline.warehouse import Warehouse

LIMITS = {f"max_{name}": limit for name, limit in (*ReleasesConfig().limits, *ReleasesConfig().input)}
NEXT_MIDNIGHT = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
PARAMETERS = {
    "as_of": AS_OF.isoformat(), "k": 2, "only_candidates": False, "exclude_reviewed": True, "max_personas": 7, "max_reviews": 60,
    "seen_weight": 0.5, "max_per_category": 0, "category_level": 0, "max_per_creator": 0, **LIMITS,
}  # fmt: skip
Tables = dict[str, list[Row]]


@pytest.fixture(scope="module")
def sound(built: Path) -> Audit:
    """The audit of the night as it should be."""
    return audit(Warehouse(built), PARAMETERS)


def failures(warehouse: Warehouse, spoilt: Tables, sound: Audit) -> list[str]:
    """Write what was spoilt and audit it; tables whose measures are those of the sound night are not judged again."""
    tables = shop()
    changed = {table for table, rows in spoilt.items() if rows != tables[table]}
    put_all(warehouse, {table: spoilt[table] for table in changed})
    judged: dict[str, dict[str, float]] = {}
    for table in table_names():
        if changed & set(re.findall(r"\w+", (EXPECTATIONS / f"{table}.sql").read_text(encoding="utf-8"))):
            measured = measure(warehouse, table, PARAMETERS)
            if any(sound.measures[f"{table}.{name}"] != value for name, value in measured.items()):
                judged[table] = measured
    return [str(check) for check in module._validate(judged, PARAMETERS)]


def test_sound_night_passes(sound: Audit) -> None:
    assert sound.failed == []
    assert sound.measures["reviews.rows"] == 10
    assert sound.measures["item_personas.item_coverage"] == 1
    assert sound.measures["user_item_topk.user_coverage"] == 1
    assert sound.measures["user_item_topk.short_lists"] == 0


def _set(table: str, row: int, **values: object) -> Callable[[Tables], None]:
    return lambda tables: tables[table][row].update(values)


def _more(table: str, row: int, **values: object) -> Callable[[Tables], None]:
    return lambda tables: tables[table].append({**tables[table][row], **values})


def _requote(tables: Tables) -> None:
    quote = tables["item_personas"][0]["evidence"][0]
    tables["item_personas"][0]["evidence"] = [{**quote, "quote": "my shoulder is fine now"}]


def _quote_of_another_item(tables: Tables) -> None:
    tables["item_personas"][0]["evidence"] = tables["item_personas"][2]["evidence"]


def _eighth_persona(tables: Tables) -> None:
    first = tables["item_personas"][2]
    for place in range(2, 9):
        more = {"persona_id": f"tuner-more-{place}", "position": place, "name": f"Kind {place}"}
        tables["item_personas"].append({**first, **more})
        tables["persona_vectors"].append({**tables["persona_vectors"][2], "persona_id": more["persona_id"]})


def _overlapping(tables: Tables) -> None:
    for row in tables["user_item_topk"]:
        if row["user_id"] == "ana" and row["rank"] == 2:
            row["item_id"], row["persona_id"] = "capo", "capo-4"


def _reread_history(tables: Tables) -> None:
    tables["user_histories"][0]["interactions"].reverse()


def _event(**values: object) -> Callable[[Tables], None]:
    """Ana's purchase of a strap, or of what the values say."""
    event = {
        "interaction_id": "event:1", "user_id": "ana", "item_id": "strap", "kind": "purchase", "weight": 1.0,
        "occurred_at": datetime(2024, 6, 1, tzinfo=UTC), "source_file": "events.csv", "source_line": 2,
    }  # fmt: skip
    return lambda tables: tables["interactions"].append({**event, **values})


def _forget(table: str, row: int) -> Callable[[Tables], None]:
    return lambda tables: tables[table].remove(tables[table][row])


def _list_of(user: str, *items: str) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        personas = {row["item_id"]: row["persona_id"] for row in tables["item_personas"]}
        mine = [row for row in tables["user_item_topk"] if row["user_id"] == user]
        for row, item in zip(mine, items, strict=True):
            row.update(item_id=item, persona_id=personas[item])

    return change


def _off_by_a_little(tables: Tables) -> None:
    row = tables["user_item_topk"][0]
    row["contributions"] = [{**c, "share": c["share"] + 1e-7} for c in row["contributions"]]


def _unavailable_default(tables: Tables) -> None:
    """The strap, which only cleo was recommended, is away, and she got the picks instead."""
    tables["items"][2] |= {"available": False, "unavailable_reason": "delisted"}
    for user in ("cleo", "dan"):
        _list_of(user, "picks" if user == "cleo" else "tuner", "strings" if user == "cleo" else "capo")(tables)


def _blocked_creator(tables: Tables) -> None:
    tables["items"][4]["creator"] = "Fender"  # the tuner
    tables["blocks"].append({"user_id": "ben", "kind": "creator", "value": "Fender"})


FAULTS: dict[str, tuple[Callable[[Tables], None], str]] = {
    "evidence reworded": (_requote, "item_personas.evidence_not_found"),
    "evidence from a review of another item": (_quote_of_another_item, "item_personas.evidence_not_found"),
    "no evidence": (_set("item_personas", 0, evidence=[]), "item_personas.without_evidence"),
    "persona over the cap": (_eighth_persona, "item_personas.most_per_item"),
    "two personas of one name": (
        _set("item_personas", 1, name="Gigging players"),
        "item_personas.names_repeated_in_item",
    ),
    "a position left out": (_set("item_personas", 1, position=3), "item_personas.positions_broken"),
    "review from the future": (
        _set("reviews", 2, reviewed_at=datetime(2024, 6, 30, tzinfo=UTC)),
        "reviews.not_before_as_of",
    ),
    "six stars": (_set("reviews", 2, rating=6.0), "reviews.ratings_out_of_range"),
    "the same user and item twice": (_more("reviews", 0, review_id="again"), "reviews.repeated_by_user_and_item"),
    "e-mail in a refused line": (
        _set("rejected_reviews", 0, detail="mail me at ana.lopez@example.org"),
        "rejected_reviews.unmasked_addresses",
    ),
    "more refused than there is": (_set("input_files", 0, refused=12), "input_files.unaccounted"),
    "a review of no input file": (_set("reviews", 0, source_file="may.jsonl"), "input_files.records_kept_nowhere"),
    "a record neither review nor refused": (
        _more("parsed_reviews", 0, source_line=12, review_id=None),
        "parsed_reviews.half_refused",
    ),
    "metadata of other items": (
        lambda tables: tables["items"].__setitem__(
            slice(None), [{**row, "has_metadata": n == 4} for n, row in enumerate(tables["items"])]
        ),
        "items.items_without_metadata",
    ),
    "event that weighs too much": (_event(weight=1.5), "interactions.weights_off"),
    "event of tomorrow": (_event(occurred_at=NEXT_MIDNIGHT), "interactions.not_yet"),
    "event called like a review": (_event(interaction_id="e1"), "interactions.not_events"),
    "bought and recommended again": (_event(item_id="capo"), "user_item_topk.already_reviewed"),
    "user of events alone without a history": (_event(user_id="eve"), "user_histories.missing_users"),
    "event in the place of a review": (
        lambda tables: tables["user_histories"][0]["interactions"][0].update(review_id=None),
        "user_histories.review_outdone",
    ),
    "disliked and yet a pair": (_set("training_pairs", 0, weight=-1.0), "training_pairs.not_liked"),
    "unheard-of reason for an event": (
        lambda tables: tables.update(
            rejected_interactions=[{"source_file": "e", "source_line": 1, "part": 0, "reason": "mystery"}]
        ),
        "rejected_interactions.unknown_reasons",
    ),
    "unheard-of reason": (_set("rejected_reviews", 0, reason="mystery"), "rejected_reviews.unknown_reasons"),
    "candidate of an unknown item": (_set("candidates", 0, item_id="drum"), "candidates.unknown_items"),
    "candidate of an unknown user": (_more("candidates", 0, user_id="eve"), "candidates.unknown_users"),
    "gap in the candidates": (_set("candidates", 0, rank=3), "candidates.ranks_broken"),
    "unheard-of reason for a candidate": (
        _set("rejected_candidates", 0, reason="mystery"),
        "rejected_candidates.unknown_reasons",
    ),
    "user vector too long": (
        _set("user_vectors", 0, vector=[1.002, *one_hot(9)[1:]]),
        "user_vectors.not_unit_length",
    ),
    "persona vector too short": (
        _set("persona_vectors", 0, vector=[0.99, *one_hot(9)[1:]]),
        "persona_vectors.not_unit_length",
    ),
    "persona without a vector": (_forget("persona_vectors", 1), "persona_vectors.missing_personas"),
    "encoder without a reason": (_set("encoders", 0, reasons=[]), "encoders.unexplained"),
    "vectors of two encoders": (_set("user_vectors", 0, encoder_id="enc0"), "user_vectors.encoders"),
    "a text embedded twice": (_more("text_embeddings", 0), "text_embeddings.embedded_twice"),
    "history out of order": (_reread_history, "user_histories.out_of_order"),
    "target in its own history": (
        _set("training_pairs", 0, history_interaction_ids=["ana-strap", "ana-tuner"]),
        "training_pairs.target_in_history",
    ),
    "history of another": (
        _set("training_pairs", 0, history_interaction_ids=["ana-strings", "ben-strap"]),
        "training_pairs.history_of_another",
    ),
    "label hidden from its pair": (
        _set("training_pairs", 0, masked_persona_ids=["tuner-3"]),
        "training_pairs.masked_labels",
    ),
    "choice of a retired persona": (
        _set("persona_choices", 0, persona_id="capo-gone"),
        "persona_choices.unknown_personas",
    ),
    "choice of the persona its own review alone makes": (
        _set("persona_choices", 0, user_id="ben", review_id="ben-capo"),
        "persona_choices.masked_choices",
    ),
    "choice about nobody's review": (
        _set("persona_choices", 0, review_id="dan-capo"),
        "persona_choices.not_in_reviews",
    ),
    "gap in the ranks": (_set("user_item_topk", 1, rank=3), "user_item_topk.ranks_broken"),
    "rising scores": (
        _set("user_item_topk", 1, score=0.9, contributions=[{"kind": "popularity", "share": 0.9}]),
        "user_item_topk.scores_rising",
    ),
    "one item twice": (_overlapping, "user_item_topk.repeated_items"),
    "reviewed item recommended": (_list_of("ana", "capo", "tuner"), "user_item_topk.already_reviewed"),
    "shares that do not add up": (_off_by_a_little, "user_item_topk.contributions_off"),
    "retired persona recommended": (
        _set("user_item_topk", 0, persona_id="capo-gone"),
        "user_item_topk.unknown_personas",
    ),
    "half a list": (_forget("user_item_topk", 1), "user_item_topk.short_lists"),
    "nothing said": (_set("user_item_topk", 0, explanation=""), "user_item_topk.unexplained"),
    "a tag in an explanation": (
        _set("user_item_topk", 0, explanation="Great <img src=x onerror=alert(1)"),
        "user_item_topk.unsafe_explanations",
    ),
    "an explanation without end": (
        _set("user_item_topk", 0, explanation="so good " * 100),
        "user_item_topk.unsafe_explanations",
    ),
    "an item that may not be recommended": (
        _set("items", 3, available=False, unavailable_reason="recalled"),  # strings, last of two lists
        "user_item_topk.not_available",
    ),
    "an item that may not be recommended to anyone": (_unavailable_default, "default_topk.not_available"),
    "a reason for an item that is not away": (_set("items", 1, unavailable_reason="recalled"), "items.without_reason"),
    "a blocked item": (_more("blocks", 0, user_id="dan", kind="item", value="capo"), "user_item_topk.blocked"),
    "an item of a blocked creator": (_blocked_creator, "user_item_topk.blocked"),
    "an item of a blocked category": (
        _more("blocks", 0, user_id="ana", kind="category", value="Music"),
        "user_item_topk.blocked",
    ),
    "a block of something else": (_more("blocks", 0, kind="colour"), "blocks.unknown_kinds"),
    "default without its first place": (_forget("default_topk", 0), "default_topk.ranks_broken"),
}


@pytest.mark.parametrize(("spoil", "named"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named(spoil: Callable[[Tables], None], named: str, warehouse: Warehouse, sound: Audit) -> None:
    spoilt = shop()
    spoil(spoilt)
    assert [failure.split(" is ")[0] for failure in failures(warehouse, spoilt, sound)] == [named]


@pytest.mark.parametrize(
    ("key", "refused"), [("k", 0.0), ("of tonight", 1.0)], ids=["one persona of several", "whole output"]
)
def test_an_item_is_refused_when_nothing_came_of_its_output(warehouse: Warehouse, key: str, refused: float) -> None:
    row = {"stage": "item_personas", "reason": "ungrounded", "detail": "d", "extraction_key": key}
    put_all(warehouse, {"quarantine": [{**row, "subject_id": item["item_id"]} for item in shop()["items"]]})
    assert measure(warehouse, "quarantine", PARAMETERS)["share_of_items"] == refused


def test_the_input_is_held_against_its_age_and_the_release_before(warehouse: Warehouse) -> None:
    from persona_pipeline.publish.releases import Release

    version = warehouse.version("reviews")
    parent = Release("r", AS_OF, "e", {"reviews": version or 0})
    fewer = [{**row, "text": "" if n < 3 else row["text"]} for n, row in enumerate(shop()["reviews"][:6])]
    put_all(warehouse, {"reviews": fewer})
    found = measure(warehouse, "reviews", PARAMETERS, parent)
    assert found["fewer_reviews"] == pytest.approx(0.4)
    assert found["more_empty_texts"] == 0.5
    assert found["stale_days"] == pytest.approx(9.5, abs=0.1)
    later = measure(warehouse, "reviews", {**PARAMETERS, "as_of": "2024-09-30"}, parent)
    assert later["stale_days"] == pytest.approx(101.5, abs=0.1)


def test_a_list_is_as_long_as_there_are_items_left(warehouse: Warehouse) -> None:
    # Lists of two: of five items ana and ben have reviewed three, and two are all there is; cleo and dan have reviewed two.
    assert measure(warehouse, "user_item_topk", {**PARAMETERS, "k": 20})["short_lists"] == 0.5
    rows = [row for row in shop()["user_item_topk"] if row["user_id"] == "ana"]
    put_all(warehouse, {"user_item_topk": rows})
    assert measure(warehouse, "user_item_topk", {**PARAMETERS, "k": 20})["short_lists"] == 0
    assert measure(warehouse, "user_item_topk", {**PARAMETERS, "k": 20, "exclude_reviewed": False})["short_lists"] == 1


def test_unmasked_address_is_told_in_words(warehouse: Warehouse, sound: Audit) -> None:
    spoilt = shop()
    spoilt["reviews"][8]["text"] += " Questions? dan@example.com"  # the quoted evidence stays where it is
    (copy,) = (e for row in spoilt["item_reviews"] for e in row["evidence"] if e["review_id"] == "dan-picks")
    copy["text"] = spoilt["reviews"][8]["text"]
    expected = "reviews.unmasked_addresses is 1, expected at most 0: e-mail addresses are masked"
    assert failures(warehouse, spoilt, sound) == [expected]


def test_reviewed_items_are_allowed_where_configured(warehouse: Warehouse) -> None:
    spoilt = shop()
    _list_of("ana", "capo", "tuner")(spoilt)
    put_all(warehouse, {"user_item_topk": spoilt["user_item_topk"]})
    assert measure(warehouse, "user_item_topk", PARAMETERS)["already_reviewed"] == 1
    assert measure(warehouse, "user_item_topk", {**PARAMETERS, "exclude_reviewed": False})["already_reviewed"] == 0


def test_users_with_candidates_are_held_to_them_where_configured(warehouse: Warehouse) -> None:
    only = {**PARAMETERS, "only_candidates": True}
    # ana's two candidates are her list, and all it can hold; the others have no candidates and are short of what is left.
    sound = measure(warehouse, "user_item_topk", {**only, "k": 20, "exclude_reviewed": False})
    assert (sound["outside_candidates"], sound["short_lists"]) == (0, 0.75)
    put_all(warehouse, {"candidates": [{"user_id": "ana", "item_id": "capo", "rank": 1, "score": None}]})
    assert measure(warehouse, "user_item_topk", only)["outside_candidates"] == 1
    assert measure(warehouse, "user_item_topk", PARAMETERS)["outside_candidates"] == 0
    three = [
        {"user_id": "ana", "item_id": i, "rank": n, "score": None} for n, i in enumerate(("capo", "picks", "strap"), 1)
    ]
    put_all(warehouse, {"candidates": three})
    # The third is reviewed: not missed, unless reviewed items may be recommended.
    assert measure(warehouse, "user_item_topk", {**only, "k": 3})["short_lists"] == 0.5
    assert measure(warehouse, "user_item_topk", {**only, "k": 3, "exclude_reviewed": False})["short_lists"] == 1


def test_caps_are_those_of_the_configuration(warehouse: Warehouse) -> None:
    """Of lists of two, all of Music; ana's and ben's are of one maker each."""
    items = shop()["items"]
    for row in items:
        kind = "Picks" if row["item_id"] == "picks" else "Gear"
        row |= {"categories": ["Music", kind], "creator": None if row["item_id"] == "strings" else "Fender"}
    put_all(warehouse, {"items": items})

    def over(**caps: int) -> list[float]:
        found = measure(warehouse, "user_item_topk", {**PARAMETERS, **caps})
        default = measure(warehouse, "default_topk", {**PARAMETERS, **caps})
        names = ("over_category_cap", "over_creator_cap")
        return [found[name] for name in names] + [default[name] for name in names] + [found["short_lists"]]

    assert over() == [0, 0, 0, 0, 0]
    assert over(max_per_category=1) == [3, 0, 1, 0, 0]  # all but ana's, who has capo and picks
    assert over(max_per_category=1, category_level=1) == [4, 0, 1, 0, 0]
    assert over(max_per_category=2, category_level=1) == [0, 0, 0, 0, 0]
    assert over(max_per_creator=1) == [0, 2, 0, 1, 0]  # ana's and dan's: nobody knows who makes strings
    # One of a maker and one of no maker fit: nobody's list of two is short.
    assert over(max_per_creator=1, k=20)[-1] == 0 < over(k=20)[-1]
    whole = {"k": 20, "exclude_reviewed": False}
    assert [over(max_per_category=n, category_level=1, **whole)[-1] for n in (2, 4)] == [0, 1]
    # How many fit under two caps takes a ranking to say.
    assert over(max_per_category=4, max_per_creator=4, category_level=1, **whole)[-1] == 0


def test_lists_are_no_longer_than_what_may_be_recommended(warehouse: Warehouse) -> None:
    """Two of five may not be: ana, who has reviewed three, can have one more."""
    tables = shop()
    for row in tables["items"]:
        if row["item_id"] in ("picks", "strings"):
            row |= {"available": False, "unavailable_reason": "recalled"}
    rows = [row for row in tables["user_item_topk"] if row["user_id"] == "ana" and row["item_id"] == "capo"]
    put_all(warehouse, {"items": tables["items"], "user_item_topk": rows})
    assert measure(warehouse, "user_item_topk", PARAMETERS)["short_lists"] == 0
    put_all(warehouse, {"items": shop()["items"]})
    assert measure(warehouse, "user_item_topk", PARAMETERS)["short_lists"] == 1


def test_limits_come_from_the_configuration(warehouse: Warehouse) -> None:
    measured = {table: measure(warehouse, table, PARAMETERS) for table in ("item_personas", "item_reviews")}
    assert module._validate(measured, PARAMETERS) == []
    stricter = module._validate(measured, {**PARAMETERS, "max_personas": 1, "max_reviews": 1})
    assert [str(failure).split(":")[0] for failure in stricter] == [
        "item_personas.most_per_item is 2, expected at most 1",
        "item_reviews.most_evidence is 2, expected at most 1",
    ]


def test_audit_of_an_empty_warehouse_fails_in_words(tmp_path: Path) -> None:
    found = audit(Warehouse(tmp_path), PARAMETERS)
    named = {failure.measure for failure in found.failed if failure.kind == "unsound"}
    assert {
        "reviews.reviews_or_events",
        "items.rows",
        "encoders.rows",
        "default_topk.rows",
        "user_vectors.rows",
    } <= named


def test_a_part_of_the_events_is_held_against_the_release_before(warehouse: Warehouse) -> None:
    event = {
        "user_id": "ana", "item_id": "strap", "kind": "purchase", "weight": 1.0, "source_file": "e", "source_line": 1,
        "occurred_at": datetime(2024, 6, 1, tzinfo=UTC),
    }  # fmt: skip
    rows = [{**event, "interaction_id": f"event:{n}"} for n in range(4)]
    put_all(warehouse, {"interactions": rows})
    parent = Release("r", AS_OF, "enc1", {"interactions": warehouse.version("interactions") or 0})
    put_all(warehouse, {"interactions": rows[:1]})
    assert measure(warehouse, "interactions", PARAMETERS, parent)["fewer_events"] == pytest.approx(0.75)
    assert measure(warehouse, "interactions", PARAMETERS)["fewer_events"] == 0


def test_the_newest_event_may_be_too_old(warehouse: Warehouse) -> None:
    event = {
        "interaction_id": "event:1", "user_id": "ana", "item_id": "strap", "kind": "purchase", "weight": 1.0,
        "source_file": "e", "source_line": 1, "occurred_at": datetime(2024, 6, 1, tzinfo=UTC),
    }  # fmt: skip
    assert measure(warehouse, "interactions", PARAMETERS)["stale_days"] == 0  # there is none
    put_all(
        warehouse,
        {
            "interactions": [
                event,
                {**event, "interaction_id": "event:2", "occurred_at": datetime(2024, 5, 1, tzinfo=UTC)},
            ]
        },
    )
    assert measure(warehouse, "interactions", {**PARAMETERS, "as_of": "2024-07-11"})["stale_days"] == 40
    failed = {failure.measure for failure in audit(warehouse, {**PARAMETERS, "as_of": "2024-07-11"}).failed}
    assert "interactions.stale_days" in failed
    assert "interactions.stale_days" not in {failure.measure for failure in audit(warehouse, PARAMETERS).failed}
