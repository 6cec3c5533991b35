"""Kinds of shares: named once, and everything that must know them all does."""

from pathlib import Path

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.contribution_kinds import ContributionKind

STYLE = Path(__file__).resolve().parents[2] / "persona_pipeline" / "report" / "templates" / "_style.html.jinja2"


def test_a_kind_is_its_value_and_has_a_label() -> None:
    assert ContributionKind.of("prior") is ContributionKind.PRIOR
    assert ContributionKind.of("season_ticket") is None
    assert f"{ContributionKind.PRIOR}" == "prior"
    assert ContributionKind.label_of("candidates") == "proposed by another recommender"
    assert ContributionKind.label_of("season_ticket") == "season ticket"


def test_every_kind_gives_a_reason_or_leaves_it_to_one_that_does() -> None:
    assert all(kind.reason_kind.reason for kind in ContributionKind)
    assert ContributionKind.OTHER_PERSONAS.reason_kind is ContributionKind.INTERACTION


def test_contract_and_page_know_every_kind() -> None:
    contract = load_contract("user_item_topk")
    (column,) = (column for column in contract.columns if column.name == "contributions")
    described = next(field.description for field in column.fields if field.name == "kind")
    style = STYLE.read_text(encoding="utf-8")
    for kind in ContributionKind:
        assert kind in described
        # Past interactions have a colour each (`interaction1` and so on).
        assert ContributionKind.of("season_ticket") is None
    assert f".{kind}" in style
