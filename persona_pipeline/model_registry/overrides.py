"""Read and write `encoder_overrides`: encoders pinned, or promoted over the parent release's, by people.

Overrides are input to runs and may be given at any time. An override takes effect from the night after the release
served when it was given, so that a rerun of an earlier night is unchanged; a run reads the overrides in force when it
is opened.
"""

import getpass
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.publish.releases import Release, served
from persona_pipeline.warehouse import Warehouse

TABLE = "encoder_overrides"
BEFORE = Path("_artefacts") / "encoders" / "orders.json"
"""Where they were kept before there was a table; read until the first is added to it."""

Kind = Literal["pin", "unpin", "promote"]


class Override(BaseModel):
    """A person's decision. `after` is the last night it does not affect. `encoder_id` is empty where a pin ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    override: Kind
    encoder_id: str
    after: date
    given_at: datetime
    by: str
    reason: str | None

    def told(self) -> str:
        """Render for a summary: decision, author and reason."""
        done = {"pin": "pinned", "unpin": "unpinned", "promote": "promoted"}[self.override]
        return f"{done} by {self.by} after the night {self.after}" + (f": {self.reason}" if self.reason else "")


def read_overrides(warehouse: Warehouse) -> list[Override]:
    """Every override, oldest first. Raises PipelineError for an older warehouse's file that cannot be read."""
    rows = warehouse.read(TABLE, [name for name in load_contract(TABLE).names if name != "number"]).to_pylist()
    return [Override(**row) for row in rows] or _from_before(warehouse.root / BEFORE)


def _from_before(path: Path) -> list[Override]:
    if not path.exists():
        return []
    try:
        rows = TypeAdapter(list[dict[str, str | None]]).validate_json(path.read_bytes())
        return [Override.model_validate({"override": row.pop("order"), **row}) for row in rows]
    except (OSError, KeyError, ValidationError) as error:
        raise PipelineError(
            f"{path}: cannot be read as a list of orders: {error}. Mend it, or delete it to drop every pin and promotion"
        ) from error


def give_override(
    warehouse: Warehouse, kind: Kind, encoder_id: str, reason: str | None, given_at: datetime
) -> Override:
    """Append an override, signed by the account that runs this process.

    Raises PipelineError where nothing is published yet, the encoder cannot serve, or there is no pin to end; BusyError
    where another process writes an override at the same time.
    """
    from persona_pipeline.model_registry.registry import (
        readable,
    )  # what reads encoders; who only looks at runs need not have it

    release = served(warehouse)
    if release is None:
        raise PipelineError(f"nothing has been published in {warehouse.root} yet: there is no night to override")
    if kind != "unpin":
        readable(warehouse, encoder_id)
    given = Override(
        override=kind,
        encoder_id=encoder_id,
        after=release.as_of,
        given_at=given_at,
        by=getpass.getuser(),
        reason=reason,
    )
    with warehouse.lock("overrides"):
        before = read_overrides(warehouse)
        if kind == "unpin" and pinned(before) is None:
            raise PipelineError("no encoder is pinned; `persona-pipeline encoders list` shows what is served")
        rows = [{"number": number, **one.model_dump()} for number, one in enumerate([*before, given])]
        warehouse.upsert(TABLE, pa.Table.from_pylist(rows, load_contract(TABLE).arrow_schema()))
    return given


def keep_encoder(warehouse: Warehouse, release: Release, given_at: datetime) -> list[str]:
    """After a rollback to this release, make the next night start from its encoder; returns messages for the user.

    A promotion given after that night was followed by a release that is now withdrawn, and the next night would follow
    it again; so the release's own encoder is promoted over it. A pin is left alone: it is meant to outlast nights.
    """
    override = in_force(read_overrides(warehouse), release.as_of + timedelta(days=1), release)
    if override is None or override.encoder_id == release.encoder_id:
        return []
    if override.override == "pin":
        return [f"encoder {override.encoder_id} stays {override.told()}; `encoders pin --off` ends that"]
    give_override(warehouse, "promote", release.encoder_id, f"rolled back to {release.release_id}", given_at)
    return [
        f"encoder {override.encoder_id}, {override.told()}, is not served again: the next night serves {release.encoder_id}"
    ]


def pinned(overrides: Iterable[Override]) -> Override | None:
    """The pin in force after all these overrides."""
    last = None
    for override in overrides:
        if override.override != "promote":
            last = override
    return last if last and last.override == "pin" else None


def in_force(overrides: Iterable[Override], as_of: date, parent: Release | None) -> Override | None:
    """The override that applies to a night: the pin in force; else the last promotion that no release has followed yet."""
    given = [override for override in overrides if override.after < as_of]
    promotions = [
        override
        for override in given
        if override.override == "promote" and (parent is None or parent.as_of <= override.after)
    ]
    return pinned(given) or (promotions[-1] if promotions else None)


def serving_since(overrides: Iterable[Override], encoder_id: str, trained: date, as_of: date) -> date:
    """The night the encoder began to serve, from which its age counts: that of its training or of its promotion."""
    promoted = (
        o.after for o in overrides if o.override == "promote" and o.encoder_id == encoder_id and o.after < as_of
    )
    return max([trained, *promoted])
