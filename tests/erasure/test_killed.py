"""The command killed by signal 9 at its worst moments and gone on with, under the eyes of readers that never stop."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import served
from decoded import found_in
from helpers import AS_OF
from killed_publication import kill_when
from typer.testing import CliRunner

from persona_pipeline.commands.app import app
from persona_pipeline.config import load_config
from persona_pipeline.core.errors import BusyError, PipelineError
from persona_pipeline.erasure import erase as erasing
from persona_pipeline.publish.releases import read_released
from persona_pipeline.runs.opening import Input, made_from, open_run
from persona_pipeline.serving import Recommendations
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import note_pending, pending

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

BENS = ["ben", "ben-strap", "ben-capo", "for my daughter"]
CONFIG = load_config("local")
COMMAND = "from persona_pipeline.commands.app import main; main()"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = served.encoder()
    return served.serve(tmp_path / "warehouse", served.tables(made), made).root


class Reader(threading.Thread):
    """One that keeps a release open and one that opens it anew each time, over and over."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root, self.kept, self.stop = root, Recommendations(root), threading.Event()
        self.lists: set[tuple[tuple[str, float], ...]] = set()
        self.faults: list[Exception] = []
        self.reads = 0

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                for reader in (self.kept, Recommendations(self.root)):
                    self.lists.add(tuple((row.item_id, row.score) for row in reader.top("ana")))
                assert read_released(Warehouse(self.root), "user_item_topk").num_rows
            except Exception as error:
                self.faults.append(error)
            self.reads += 1


def command(root: Path, *arguments: str) -> "subprocess.Popen[str]":
    whole = [sys.executable, "-c", COMMAND, "erase", *arguments, "--warehouse", str(root)]
    return subprocess.Popen(
        whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, cwd=root.parent
    )


def test_killed_anywhere_it_is_gone_on_with_and_readers_never_notice(root: Path) -> None:
    log = root / "reviews" / "_delta_log" / f"{0:020}.json"
    before = log.read_text()
    moments: list[Callable[[], bool]] = [
        lambda: (root / "_erasing" / "traces.json").is_file(),
        lambda: any(root.glob("user_item_topk/*/*-e*.parquet")),
        lambda: log.read_text() != before,
        lambda: len(list(root.glob("reviews/*.parquet"))) == 1 and log.read_text() != before,
    ]
    reader = Reader(root)
    reader.start()
    try:
        for n, ready in enumerate(moments):
            arguments = ("ben", "--yes") if pending(root) is None else ("--go-on",)
            assert kill_when(command(root, *arguments), ready), f"it ended before moment {n}"
            assert pending(root) is not None
            with pytest.raises(BusyError, match="persona-pipeline erase --go-on"):
                open_run(root, AS_OF, CONFIG, Input())
        done = command(root, "--go-on")
        output, _ = done.communicate(timeout=120)
        assert done.returncode == 0, output
        assert "1 person erased" in output
        time.sleep(0.5)
    finally:
        reader.stop.set()
        reader.join()
    assert reader.faults == []
    assert reader.reads > 20
    assert len(reader.lists) == 1
    assert found_in(root, BENS) == {}
    assert reader.kept.refresh()
    assert not reader.kept.refresh()
    assert reader.kept.source("ben") == "unknown_user"
    assert reader.kept.why("ana", "strings").quotes
    with pytest.raises(PipelineError, match="item capo: it has no persona"):  # it was Ben's alone, until the next night
        reader.kept.why("ana", "capo")


def test_the_command_asks_tells_and_names_nobody(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(erasing, "PAUSE", 0.0)
    runner, where = CliRunner(), ("--warehouse", str(root))
    kept = shutil.copytree(root, tmp_path / "copy")
    before = made_from(root, AS_OF, CONFIG, Input())
    told = runner.invoke(app, ["erase", "ben", *where], input="n\n")
    assert told.exit_code == 1
    assert "1 person would be erased; nothing was changed" in told.output
    assert found_in(root, ["ben-capo"])
    names = tmp_path / "ids.txt"
    names.write_text("ben\n\ndan \nzoe\n")
    told = runner.invoke(app, ["erase", "--file", str(names), *where, "--yes"])
    assert told.exit_code == 0, told.output
    assert "2 people erased" in told.output
    assert "1 id that nothing here names, for which nothing was done: zoe" in told.output
    assert not any(name in told.output for name in ("ben", "dan"))
    assert found_in(root, [*BENS, "dan-picks"]) == {}
    # A run after it is another run than one before it.
    assert made_from(root, AS_OF, CONFIG, Input()) != before
    (root / "_erasing").mkdir()
    note_pending(root / "_erasing", 1, "ana")
    told = runner.invoke(app, ["erase", "--let-back", "ben", *where])
    assert isinstance(told.exception, BusyError)
    shutil.rmtree(root / "_erasing")
    told = runner.invoke(app, ["erase", "--let-back", "ben", *where])
    assert "1 of 1 were kept out" in told.output
    assert kept.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "whom to erase"),
        (("zoe", "--yes"), "none of the 1 users is known"),
        (("--go-on",), "there is no erasure to complete"),
        (("--go-on", "ben"), "--go-on takes no ids"),
        (("--file", "nowhere.txt"), "expected a file of user ids"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(root: Path, arguments: tuple[str, ...], told: str) -> None:
    before = Warehouse(root).versions()
    done = command(root, *arguments)
    output, _ = done.communicate(timeout=120)
    assert done.returncode == 1
    assert told in " ".join(output.split())
    assert Warehouse(root).versions() == before
