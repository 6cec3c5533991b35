"""A reader in a process of its own, reading what is served over and over until told to stop: `published_reader.py WAREHOUSE STOP`.

It also keeps one release open from the beginning. Prints, at the end, how often it read and what it saw: a digest of both
published tables by release. Whatever goes wrong ends it with a traceback.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

from persona_pipeline.publish.releases import Release, read_released, served
from persona_pipeline.publish.staging import PUBLISHED
from persona_pipeline.warehouse import Warehouse


def digest(warehouse: Warehouse, release: Release | None = None) -> str:
    """Of all rows a reader gets, from the served release where none is given."""
    release = release or served(warehouse)
    rows = [read_released(warehouse, table, release).to_pylist() for table in PUBLISHED]
    return hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()[:16]


def main(root: Path, stop: Path) -> None:
    """Read until the file is there."""
    warehouse, reads = Warehouse(root), 0
    seen: dict[str, set[str]] = {}
    opened = served(warehouse)
    assert opened is not None
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    while not stop.exists():
        release = served(warehouse)
        assert release is not None
        seen.setdefault(release.release_id, set()).add(digest(warehouse, release))
        seen.setdefault("opened", set()).add(digest(warehouse, opened))
        reads += 1
        time.sleep(0.05)  # leaves the machine to those who are watched
    json.dump({"reads": reads, "seen": {name: sorted(found) for name, found in seen.items()}}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
