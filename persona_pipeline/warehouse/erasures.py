"""Record who was erased, by keyed digest and never by name (`erasures`), and tell the input of an erased person by it.

The key is random, made at a warehouse's first erasure, and lies in its folder: a digest says nothing without it, and with it only
whether an id somebody already has is one of these. A warehouse that is copied needs the key copied too.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.core.errors import BusyError, PipelineError
from persona_pipeline.warehouse.delta_rs import Warehouse

TABLE = "erasures"
KEY = "_erasure_key"
PENDING = "_erasing"
"""Folder of an erasure under way, or broken off: what is still to be found there, and when it began."""

_NOTE = "note.json"


def erased_digests(warehouse: Warehouse) -> frozenset[str]:
    """Digests of everybody whose lines of input are to go nowhere; see `digester`."""
    rows = warehouse.read(TABLE, ["user_digest"], where="let_back_at IS NULL")
    return frozenset(rows["user_digest"].to_pylist())


def let_back_since(warehouse: Warehouse) -> str:
    """Hash of who was let back in, and when; "" where nobody was. Input parsed before has to be parsed again."""
    rows = warehouse.read(TABLE, ["user_digest", "let_back_at"], where="let_back_at IS NOT NULL").to_pylist()
    return hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()[:16] if rows else ""


def digester(warehouse: Warehouse) -> Callable[[str], str]:
    """A function from a user id to its digest, 64 hexadecimal digits; it may be sent to another process.

    The key is made where nobody was erased yet. Raises PipelineError where somebody was, and the key is gone.
    """
    path = warehouse.root / KEY
    if not path.is_file():
        if warehouse.read(TABLE).num_rows:
            raise PipelineError(
                f"{path} is gone: without it nobody can tell the input of people who were erased. Restore it from a copy of the "
                f"warehouse; else remove the table {TABLE}, and erase them again"
            )
        with atomic_file(path) as partial:
            partial.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
            partial.chmod(0o600)
    return Digester(bytes.fromhex(path.read_text(encoding="ascii").strip()))


class Digester:
    """HMAC-SHA256 under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, user_id: str) -> str:
        """Digest of one id."""
        return hmac.new(self._key, user_id.encode(), "sha256").hexdigest()


def record(warehouse: Warehouse, user_ids: Iterable[str], by: str, at: datetime) -> None:
    """Keep that these people were erased. Doing so again changes only when."""
    of = digester(warehouse)
    rows = [{"user_digest": of(user), "erased_at": at, "by": by, "let_back_at": None} for user in sorted({*user_ids})]
    warehouse.upsert(TABLE, pa.Table.from_pylist(rows, load_contract(TABLE).arrow_schema()))


def let_back(warehouse: Warehouse, user_ids: Iterable[str]) -> int:
    """Let lines of these people count again; returns how many of them were kept out."""
    of = digester(warehouse)
    theirs = {of(user) for user in user_ids}
    rows = [
        row for row in warehouse.read(TABLE, where="let_back_at IS NULL").to_pylist() if row["user_digest"] in theirs
    ]
    if rows:
        changed = [{**row, "let_back_at": datetime.now(UTC)} for row in rows]
        warehouse.upsert(TABLE, pa.Table.from_pylist(changed, load_contract(TABLE).arrow_schema()))
    return len(rows)


@dataclass(frozen=True, slots=True)
class Pending:
    """An erasure that was begun: when, of how many people, by which account; `token` marks the files it makes."""

    began: datetime
    people: int
    by: str
    token: str


def note_pending(folder: Path, people: int, by: str) -> None:
    """Note in a new folder that an erasure begins."""
    told = {"began": datetime.now(UTC).isoformat(), "people": people, "by": by, "token": secrets.token_hex(4)}
    (folder / _NOTE).write_text(json.dumps(told) + "\n", encoding="utf-8")


def pending(root: Path) -> Pending | None:
    """The erasure of a warehouse that has not ended; None where there is none."""
    note = root / PENDING / _NOTE
    if not note.is_file():
        return None
    told = json.loads(note.read_text(encoding="utf-8"))
    return Pending(datetime.fromisoformat(told["began"]), told["people"], told["by"], told["token"])


def require_none_pending(root: Path) -> None:
    """Raise BusyError where an erasure was begun and has not ended: half of the tables still know a person."""
    if found := pending(root):
        raise BusyError(
            f"an erasure of {found.people} people, begun {found.began:%Y-%m-%d %H:%M:%S} UTC, has not ended in {root}. Wait for "
            f"it; where it was broken off, complete it: persona-pipeline erase --go-on --warehouse {root}"
        )
