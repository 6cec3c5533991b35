"""The verdict on a night: published, refused, run again, superseded; and what readers see of each."""

from dataclasses import replace

import pyarrow as pa
import pytest
from helpers import AS_OF, put, shop
from publishing import CONFIG, FAILED, FAR, PASSED, TONIGHT, first_score, propose, publisher, run, verdicts

from persona_pipeline.config import PipelineConfig, load_config
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import BusyError, PipelineError, ReleaseError
from persona_pipeline.publish.publication import audited_versions, publish_or_refuse
from persona_pipeline.publish.releases import parent_of, published, served
from persona_pipeline.publish.rollback import accept, roll_back
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse


def test_a_passed_night_is_published(warehouse: Warehouse) -> None:
    row = run(warehouse)
    assert (row["verdict"], row["reasons"], row["parent_release_id"]) == ("published", [], None)
    assert row["release_id"].startswith("2024-06-30-")
    assert row["metrics"] == [{"name": name, "value": value} for name, value in sorted(PASSED.measures.items())]
    for table in PUBLISHED:
        assert warehouse.read(table).equals(staged_tables(warehouse).read(table))
    versions = {entry["table"]: entry["version"] for entry in row["table_versions"]}
    assert versions == {table: warehouse.version(table) for table in shop() if load_contract(table).role != "cache"}
    load_contract("releases").conform(warehouse.read("releases"))
    release = served(warehouse)
    assert release is not None
    assert (release.release_id, release.as_of, release.encoder_id) == (row["release_id"], AS_OF, "enc1")


def test_configuration_is_on_record(warehouse: Warehouse) -> None:
    row = run(warehouse, config=load_config("local", {"user_item_topk": {"k": 2}}))
    config = PipelineConfig.model_validate_json(row["config"])
    assert config.user_item_topk.k == 2
    assert row["config_digest"] == config.digest()


def test_a_refused_night_publishes_nothing(warehouse: Warehouse) -> None:
    row = run(warehouse, audit=FAILED)
    assert (row["verdict"], row["reasons"]) == ("refused", [str(check) for check in FAILED.failed])
    assert served(warehouse) is None
    assert not any(warehouse.exists(table) for table in PUBLISHED)
    assert not {entry["table"] for entry in row["table_versions"]} & set(PUBLISHED)


def test_a_refused_night_leaves_the_last_good_one(warehouse: Warehouse) -> None:
    good = run(warehouse)
    before = [warehouse.version(table) for table in PUBLISHED]
    propose(warehouse, 9.0)
    bad = run(warehouse, TONIGHT, FAILED)
    assert verdicts(warehouse) == {good["release_id"]: "published", bad["release_id"]: "refused"}
    assert [warehouse.version(table) for table in PUBLISHED] == before
    assert first_score(warehouse) == pytest.approx(0.6)
    assert bad["parent_release_id"] == good["release_id"]


def test_a_rerun_gives_the_same_row_and_commits_nothing(warehouse: Warehouse) -> None:
    first = run(warehouse)
    version = warehouse.version("releases")
    assert run(warehouse) == first
    assert warehouse.version("releases") == version
    assert len(verdicts(warehouse)) == 1


def test_a_rerun_of_a_later_night_has_the_same_parent(warehouse: Warehouse) -> None:
    first = run(warehouse)
    propose(warehouse, 0.65)
    second = run(warehouse, TONIGHT)
    assert second["parent_release_id"] == first["release_id"]
    version = warehouse.version("releases")
    assert run(warehouse, TONIGHT) == second
    assert warehouse.version("releases") == version


def test_another_run_of_the_night_supersedes_the_first(warehouse: Warehouse) -> None:
    first = run(warehouse)
    propose(warehouse, 0.65)
    second = run(warehouse, config=load_config("local", {"report": {"users": 3}}))
    assert verdicts(warehouse) == {first["release_id"]: "superseded", second["release_id"]: "published"}
    assert first_score(warehouse) == 0.65
    assert second["parent_release_id"] is None


def test_a_night_rerun_with_worse_candidates_does_not_take_the_good_ones_back(warehouse: Warehouse) -> None:
    """The same inputs, and candidates a changed program made of them."""
    good = run(warehouse)
    propose(warehouse, -1.0)
    bad = run(warehouse, audit=FAILED)
    assert verdicts(warehouse) == {good["release_id"]: "published", bad["release_id"]: "refused"}
    assert first_score(warehouse) == pytest.approx(0.6)


def test_a_night_refused_and_mended_is_published(warehouse: Warehouse) -> None:
    bad = run(warehouse, audit=FAILED)
    propose(warehouse, 0.65)
    good = run(warehouse)
    assert verdicts(warehouse) == {bad["release_id"]: "refused", good["release_id"]: "published"}


@pytest.mark.parametrize("ingredient", ["config", "reviews", "parent"])
def test_the_id_changes_with_what_the_night_was_made_from(warehouse: Warehouse, ingredient: str) -> None:
    first = run(warehouse)
    if ingredient == "config":
        second = run(warehouse, config=load_config("local", {"encoders": {"seed": 1}}))
    elif ingredient == "reviews":
        put(warehouse, "reviews", shop()["reviews"][1:])
        second = run(warehouse)
    else:
        second = run(warehouse, TONIGHT)
    assert second["release_id"].split("-")[-1] != first["release_id"].split("-")[-1]


def cached(warehouse: Warehouse, text_hash: str) -> None:
    """As a backtest that shares the cache does at any time."""
    row = {"text_hash": text_hash, "base_model": "m@1:256", "vector": [1.0]}
    warehouse.append("text_embeddings", pa.Table.from_pylist([row], load_contract("text_embeddings").arrow_schema()))


def test_a_cache_that_grew_before_a_rerun_makes_no_other_release(warehouse: Warehouse) -> None:
    cached(warehouse, "a")
    first = run(warehouse)
    cached(warehouse, "b")
    assert run(warehouse) == first
    assert len(verdicts(warehouse)) == 1


def test_a_cache_that_grows_does_not_undo_an_acceptance(warehouse: Warehouse) -> None:
    run(warehouse)
    propose(warehouse, 0.65)
    far = run(warehouse, TONIGHT, FAR)
    accept(warehouse, far["release_id"], "ana", None)
    cached(warehouse, "a")
    assert run(warehouse, TONIGHT, FAR)["verdict"] == "published"


def test_a_cache_that_grows_does_not_bring_a_withdrawn_night_back(warehouse: Warehouse) -> None:
    first = run(warehouse)
    propose(warehouse, 0.65)
    run(warehouse, TONIGHT)
    roll_back(warehouse, first["release_id"], "ana", None)
    cached(warehouse, "a")
    with pytest.raises(ReleaseError, match="was rolled back"):
        run(warehouse, TONIGHT)


def test_a_cache_that_grows_while_a_night_is_judged_does_not_stop_it(warehouse: Warehouse) -> None:
    def meanwhile() -> None:
        cached(warehouse, "a")
        publisher(warehouse)()

    assert (
        publish_or_refuse(warehouse, AS_OF, CONFIG, None, "enc1", PASSED, meanwhile, audited_versions(warehouse))[
            "verdict"
        ]
        == "published"
    )


def test_what_was_published_is_held_against_what_was_audited(warehouse: Warehouse) -> None:
    def lossy() -> None:
        publisher(warehouse)()
        put(warehouse, "user_item_topk", [{**r, "score": 9.0} for r in shop()["user_item_topk"]])

    with pytest.raises(PipelineError, match="user_item_topk was published with 8 rows that are not the 8 audited ones"):
        publish_or_refuse(warehouse, AS_OF, CONFIG, None, "enc1", PASSED, lossy, audited_versions(warehouse))
    assert served(warehouse) is None


def test_a_crash_before_the_row_leaves_readers_with_the_release_before(warehouse: Warehouse) -> None:
    run(warehouse)
    propose(warehouse, 0.65)

    def killed() -> None:
        publisher(warehouse)()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish_or_refuse(
            warehouse,
            TONIGHT,
            CONFIG,
            parent_of(warehouse, TONIGHT),
            "enc1",
            PASSED,
            killed,
            audited_versions(warehouse),
        )
    assert warehouse.read("user_item_topk", where="user_id = 'ana' AND rank = 1")["score"][0].as_py() == 0.65
    assert first_score(warehouse) == pytest.approx(0.6)
    run(warehouse, TONIGHT)
    assert first_score(warehouse) == 0.65
    assert [release.as_of for release in published(warehouse)] == [AS_OF, TONIGHT]


@pytest.mark.parametrize("table", ["reviews", "user_item_topk"])
def test_what_was_written_while_it_was_judged_is_not_released(warehouse: Warehouse, table: str) -> None:
    run(warehouse)
    propose(warehouse, 0.65)

    def overtaken() -> None:
        publisher(warehouse)()
        put(staged_tables(warehouse) if table in PUBLISHED else warehouse, table, shop()[table])

    named = f"candidate {table}" if table in PUBLISHED else table
    with pytest.raises(BusyError, match=f"another process wrote {named} while the night of {TONIGHT} was judged"):
        publish_or_refuse(
            warehouse,
            TONIGHT,
            CONFIG,
            parent_of(warehouse, TONIGHT),
            "enc1",
            PASSED,
            overtaken,
            audited_versions(warehouse),
        )
    assert len(verdicts(warehouse)) == 1
    assert first_score(warehouse) == pytest.approx(0.6)


def test_a_publication_that_another_overtook_is_not_released(warehouse: Warehouse) -> None:
    """Where a file system has no locks: both judged the first night, one wrote its row first."""
    seen = audited_versions(warehouse)
    run(warehouse, config=load_config("local", {"report": {"users": 3}}))
    with pytest.raises(BusyError, match="table releases: another process committed to it in the meantime"):
        publish_or_refuse(
            warehouse, AS_OF, CONFIG, None, "enc1", PASSED, publisher(warehouse), replace(seen, releases=-1)
        )
    assert list(verdicts(warehouse).values()) == ["published"]
