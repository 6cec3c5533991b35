"""Back to an earlier release, forth again, and what the nights after it make of that; refused nights let through."""

from datetime import timedelta

import pytest
from helpers import AS_OF, arrow
from publishing import FAILED, PASSED, first_score, propose, run, verdicts

from persona_pipeline.core.errors import BusyError, PipelineError, ReleaseError
from persona_pipeline.publish.audit import Audit, FailedCheck
from persona_pipeline.publish.publication import PUBLICATION
from persona_pipeline.publish.releases import parent_of, read_released, release_of, release_row, release_rows, served
from persona_pipeline.publish.rollback import accept, roll_back
from persona_pipeline.warehouse import Warehouse

SCORES = (0.61, 0.62, 0.63)
NIGHTS = [AS_OF + timedelta(days=n) for n in range(5)]
FAR_CHECK = FailedCheck(
    "user_item_topk.replaced", 0.7, None, 0.5, "drift", "lists are mostly those of the parent release"
)
FAR = str(FAR_CHECK)


@pytest.fixture
def nights(warehouse: Warehouse) -> list[str]:
    """Three nights published, told apart by their first score."""
    ids = []
    for as_of, score in zip(NIGHTS, SCORES, strict=False):
        propose(warehouse, score)
        ids.append(run(warehouse, as_of)["release_id"])
    return ids


def newest_score(warehouse: Warehouse) -> float:
    """As an analyst reads the table, who never heard of releases."""
    return float(warehouse.read("user_item_topk", where="user_id = 'ana' AND rank = 1")["score"][0].as_py())


def score_of(warehouse: Warehouse, release_id: str) -> float:
    rows = read_released(warehouse, "user_item_topk", release_of(release_row(warehouse, release_id)), "user_id = 'ana'")
    return float(rows["score"][0].as_py())


def test_readers_of_releases_and_of_tables_are_back(warehouse: Warehouse, nights: list[str]) -> None:
    done = roll_back(warehouse, nights[0], "ana", "empty lists in the app")
    assert (done.release.release_id, done.withdrawn, done.restored) == (nights[0], nights[1:], ["user_item_topk"])
    assert first_score(warehouse) == newest_score(warehouse) == SCORES[0]
    assert verdicts(warehouse) == dict(zip(nights, ["published", "rolled_back", "rolled_back"], strict=True))
    told = release_row(warehouse, nights[2])["reasons"]
    assert told == [f"rolled back to {nights[0]} by ana: empty lists in the app"]
    assert [score_of(warehouse, release_id) for release_id in nights] == list(SCORES)  # every row is as true as before
    again = roll_back(warehouse, nights[0], "ana", None)
    assert (again.withdrawn, again.restored) == ([], [])


def test_the_next_night_starts_from_the_release_gone_back_to(warehouse: Warehouse, nights: list[str]) -> None:
    roll_back(warehouse, nights[0], "ana", None)
    for as_of in NIGHTS[1:]:
        parent = parent_of(warehouse, as_of)
        assert parent is not None
        assert parent.release_id == nights[0]
    propose(warehouse, 0.64)
    row = run(warehouse, NIGHTS[3])
    assert (row["verdict"], row["parent_release_id"]) == ("published", nights[0])
    assert first_score(warehouse) == newest_score(warehouse) == 0.64


def test_the_same_night_is_not_published_again_by_itself(warehouse: Warehouse, nights: list[str]) -> None:
    roll_back(warehouse, nights[1], "ana", "bad titles")
    with pytest.raises(
        ReleaseError, match=rf"{nights[2]} was rolled back \(rolled back to {nights[1]} by ana: bad tit"
    ):
        run(warehouse, NIGHTS[2])
    assert first_score(warehouse) == newest_score(warehouse) == SCORES[1]
    propose(warehouse, 0.65)  # mended
    mended = run(warehouse, NIGHTS[2])
    assert verdicts(warehouse) == {
        nights[0]: "published", nights[1]: "published", nights[2]: "rolled_back", mended["release_id"]: "published",
    }  # fmt: skip
    assert mended["parent_release_id"] == nights[1]


def test_a_rollback_is_rolled_back(warehouse: Warehouse, nights: list[str]) -> None:
    roll_back(warehouse, nights[0], "ana", None)
    done = roll_back(warehouse, nights[2], "ben", "it was the app")
    assert (done.withdrawn, done.restored) == ([], ["user_item_topk"])
    assert first_score(warehouse) == newest_score(warehouse) == SCORES[2]
    assert verdicts(warehouse) == dict(zip(nights, ["published", "rolled_back", "published"], strict=True))
    row = release_row(warehouse, nights[2])
    assert row["reasons"] == [f"rolled back to {nights[0]} by ana", "served again by ben: it was the app"]
    run(warehouse, NIGHTS[2])  # as when the task is cleared: other parent, so another release, and it supersedes
    assert parent_of(warehouse, NIGHTS[3]) == served(warehouse)


def test_a_superseded_run_of_the_night_can_be_served_again(warehouse: Warehouse, nights: list[str]) -> None:
    propose(warehouse, 0.66)
    second = run(warehouse, NIGHTS[2])["release_id"]
    roll_back(warehouse, nights[2], "ana", None)
    assert verdicts(warehouse)[second] == "rolled_back"
    assert first_score(warehouse) == newest_score(warehouse) == SCORES[2]
    roll_back(warehouse, second, "ana", None)
    assert (verdicts(warehouse)[nights[2]], first_score(warehouse)) == ("rolled_back", 0.66)


def test_a_rollback_broken_off_is_completed_by_the_next(
    warehouse: Warehouse, nights: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Warehouse, "restore", killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back(warehouse, nights[0], "ana", None)
    assert (first_score(warehouse), newest_score(warehouse)) == (SCORES[0], SCORES[2])
    assert roll_back(warehouse, nights[0], "ana", None).restored == ["user_item_topk"]
    assert newest_score(warehouse) == SCORES[0]


def test_what_cannot_be_served_is_refused_and_nothing_changes(warehouse: Warehouse, nights: list[str]) -> None:
    propose(warehouse, -1.0)
    refused = run(warehouse, NIGHTS[3], FAILED)["release_id"]
    before = warehouse.versions()
    with pytest.raises(ReleaseError, match=f"{refused} was refused: it has never been published"):
        roll_back(warehouse, refused, "ana", None)
    with pytest.raises(ReleaseError, match=r"there is no release nowhere in .*; `persona-pipeline releases list`"):
        roll_back(warehouse, "nowhere", "ana", None)
    version = release_of(release_row(warehouse, nights[0])).versions["user_item_topk"]
    warehouse.files("user_item_topk", version).pop().unlink()
    with pytest.raises(ReleaseError, match=f"{nights[0]} is no longer kept: 1 of its files were deleted"):
        roll_back(warehouse, nights[0], "ana", None)
    assert warehouse.versions() == before


def test_no_rollback_during_a_publication(warehouse: Warehouse, nights: list[str]) -> None:
    with Warehouse(warehouse.root, {"job": "releases"}).lock(PUBLICATION):
        with pytest.raises(BusyError, match=r"another process .*releases"):
            roll_back(warehouse, nights[0], "ana", None)
        with pytest.raises(BusyError):
            accept(warehouse, nights[0], "ana", None)
    assert served(warehouse) == release_of(release_row(warehouse, nights[2]))


def test_a_night_that_is_only_far_from_the_last_can_be_accepted(warehouse: Warehouse, nights: list[str]) -> None:
    propose(warehouse, 0.67)
    far = Audit(PASSED.measures, [FAR_CHECK])
    refused = run(warehouse, NIGHTS[3], far)
    assert (refused["verdict"], refused["reasons"]) == ("refused", [FAR])
    accept(warehouse, refused["release_id"], "ana", "new prompt")
    assert first_score(warehouse) == SCORES[2]
    row = run(warehouse, NIGHTS[3], far)
    assert (row["verdict"], row["reasons"]) == ("published", [FAR, "accepted by ana: new prompt"])
    assert first_score(warehouse) == newest_score(warehouse) == 0.67
    rows = release_rows(warehouse)
    assert run(warehouse, NIGHTS[3], far) == row  # a rerun is the same night
    assert release_rows(warehouse) == rows


def test_an_acceptance_is_of_one_release_and_of_its_distance_alone(warehouse: Warehouse, nights: list[str]) -> None:
    propose(warehouse, 0.67)
    far = Audit(PASSED.measures, [FAR_CHECK])
    refused = run(warehouse, NIGHTS[3], far)["release_id"]
    accept(warehouse, refused, "ana", None)
    assert (
        run(warehouse, NIGHTS[3], Audit({}, [*FAILED.failed, FAR_CHECK]))["verdict"] == "refused"
    )  # unsound all the same
    with pytest.raises(ReleaseError, match=r"its tables are not sound\.\n  user_item_topk.ranks_broken is 1"):
        accept(warehouse, refused, "ana", None)
    propose(warehouse, 0.68)
    other = run(warehouse, NIGHTS[3], far)
    assert (other["verdict"], other["release_id"] != refused) == ("refused", True)
    with pytest.raises(PipelineError, match="is published; only a refused one can be accepted"):
        accept(warehouse, nights[2], "ana", None)


def test_what_an_earlier_version_refused_and_somebody_accepted_is_published_with_its_checks(
    warehouse: Warehouse, nights: list[str]
) -> None:
    """Rows of then have no failed checks as values; to accept one now would be to accept what nobody can tell."""
    propose(warehouse, 0.67)
    far = Audit(PASSED.measures, [FAR_CHECK])
    refused = run(warehouse, NIGHTS[3], far)
    warehouse.upsert("releases", arrow("releases", [{**refused, "failed_checks": None}]))
    with pytest.raises(ReleaseError, match="refused by an earlier version"):
        accept(warehouse, refused["release_id"], "ana", None)
    then = {**refused, "failed_checks": None, "verdict": "accepted", "reasons": [FAR, "accepted by ana"]}
    warehouse.upsert("releases", arrow("releases", [then]))
    row = run(warehouse, NIGHTS[3], far)
    assert (row["verdict"], row["reasons"]) == ("published", then["reasons"])
    assert [check["measure"] for check in row["failed_checks"]] == ["user_item_topk.replaced"]
