"""The keyed stages on a real cluster, a standalone master with two workers, one of which is killed in the middle."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow as pa
import pyspark

from persona_pipeline.warehouse import Warehouse

SUPPORT = Path(__file__).parents[1] / "support"
STAGES = ("item_summaries", "item_personas", "text_embeddings", "persona_vectors", "user_vectors")
ITEMS, BUCKET = 60, 1 << 14


def python(script: str, *given: object) -> subprocess.Popen[str]:
    """Start a script of the tests; workers of the cluster run the same interpreter."""
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    # Workers find the tests' modules too: what a stage is given is of theirs.
    environment["PYTHONPATH"] = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(SUPPORT / script), *map(str, given)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3_000:]


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A master and two workers of one core each, on loopback; each is a group of processes of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(pyspark.__file__).parent
    environment = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])

    def start(role: str, *options: str) -> subprocess.Popen[bytes]:
        command = [
            str(home / "bin" / "spark-class"),
            f"org.apache.spark.deploy.{role}",
            "--host",
            "127.0.0.1",
            *options,
        ]
        with (folder / f"{role}-{len(started)}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(start("master.Master", "--port", str(port), "--webui-port", "0"))
        url = f"spark://127.0.0.1:{port}"
        for n in range(2):
            work = (
                "--cores",
                "1",
                "--memory",
                "700m",
                "--work-dir",
                str(folder / f"work{n}"),
                "--webui-port",
                "0",
                url,
            )
            started.append(start("worker.Worker", *work))
        yield url, started[1:]
    finally:
        for process in started:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_cluster_that_loses_a_worker_makes_the_tables_of_one_machine(tmp_path: Path) -> None:
    ended(python("measured_stage.py", "build", ITEMS, tmp_path / "here"))
    there = Warehouse(copytree(tmp_path / "here", tmp_path / "there"))
    here = Warehouse(tmp_path / "here")
    for stage in STAGES:
        ended(python("measured_stage.py", stage, ITEMS, here.root, BUCKET, 1 << 28))
    with cluster(tmp_path) as (master, workers):
        process = python("cluster_stages.py", there.root, master, BUCKET, *STAGES)
        folder = Path(there.path("text_embeddings"))
        deadline = time.monotonic() + 240
        while not list(folder.glob("*.parquet")):
            assert process.poll() is None, process.communicate()[1][-3_000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        _kill(workers[0])
        ended(process)
    for stage in STAGES:
        found, wanted = there.read(stage), here.read(stage)
        assert found.num_rows == wanted.num_rows > 0
        _assert_alike(found, wanted)


def _assert_alike(found: pa.Table, wanted: pa.Table) -> None:
    plain = [name for name in wanted.column_names if name != "vector"]
    assert found.select(plain).equals(wanted.select(plain))
    if "vector" in wanted.column_names:
        both = (np.array(rows["vector"].to_pylist()) for rows in (found, wanted))
        np.testing.assert_allclose(*both, atol=1e-6)  # type: ignore[call-overload]
