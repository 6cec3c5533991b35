"""What people ordered: an encoder pinned, or served instead of the parent's. One JSON file, `_artefacts/encoders/orders.json`.

Orders are input to nights, given by people at any time, where a table is written by the one job of its name and belongs
to the versions a release names. An order counts from the night after the release served when it was given, so that a
rerun of an earlier night finds what it found.
"""

import getpass
import os
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from persona_pipeline.errors import PipelineError
from persona_pipeline.promotion.registry import readable
from persona_pipeline.publish.releases import Release, served
from persona_pipeline.warehouse import Warehouse

ORDERS = Path("_artefacts") / "encoders" / "orders.json"


class Order(BaseModel):
    """One order. `after` is the night it leaves as it was; the next obeys. `encoder_id` is empty where a pin ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: Literal["pin", "unpin", "promote"]
    encoder_id: str
    after: date
    given_at: datetime
    by: str
    reason: str | None

    def told(self) -> str:
        """For a summary: by whom and why."""
        done = {"pin": "pinned", "unpin": "unpinned", "promote": "promoted"}[self.order]
        return f"{done} by {self.by} after the night {self.after}" + (f": {self.reason}" if self.reason else "")


_FILE = TypeAdapter(list[Order])


def read_orders(root: Path) -> list[Order]:
    """Every order, oldest first. Raises PipelineError for a file that is not what `give_order` writes."""
    path = root / ORDERS
    if not path.exists():
        return []
    try:
        return _FILE.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise PipelineError(
            f"{path}: cannot be read as a list of orders: {error}. Mend it, or delete it to drop every pin and promotion"
        ) from error


def give_order(
    warehouse: Warehouse,
    order: Literal["pin", "unpin", "promote"],
    encoder_id: str,
    reason: str | None,
    given_at: datetime,
) -> Order:
    """Add an order, signed by the account that runs this; the file is replaced whole.

    Raises PipelineError where nothing is published yet, the encoder cannot serve, or there is no pin to end.
    """
    release = served(warehouse)
    if release is None:
        raise PipelineError(f"nothing has been published in {warehouse.root} yet: there is no night to give orders to")
    orders = read_orders(warehouse.root)
    if order == "unpin":
        if pinned(orders) is None:
            raise PipelineError("no encoder is pinned; `persona-pipeline encoders list` shows what is served")
    else:
        readable(warehouse, encoder_id)
    given = Order(
        order=order, encoder_id=encoder_id, after=release.as_of, given_at=given_at, by=getpass.getuser(), reason=reason
    )
    path = warehouse.root / ORDERS
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(_FILE.dump_json([*orders, given], indent=1) + b"\n")
    partial.replace(path)
    return given


def keep_encoder(warehouse: Warehouse, release: Release, given_at: datetime) -> list[str]:
    """After a rollback to this release: see that the next night starts from its encoder; what there is to say about it.

    A promotion given after that night was followed by a release that is now withdrawn, and the next night would follow it
    again; so the release's own encoder is promoted over it. A pin is left alone: it is meant to outlast nights.
    """
    order = order_of(read_orders(warehouse.root), release.as_of + timedelta(days=1), release)
    if order is None or order.encoder_id == release.encoder_id:
        return []
    if order.order == "pin":
        return [f"encoder {order.encoder_id} stays {order.told()}; `encoders pin --off` ends that"]
    give_order(warehouse, "promote", release.encoder_id, f"rolled back to {release.release_id}", given_at)
    return [
        f"encoder {order.encoder_id}, {order.told()}, is not served again: the next night serves {release.encoder_id}"
    ]


def pinned(orders: Iterable[Order]) -> Order | None:
    """The pin in force after all these."""
    last = None
    for order in orders:
        if order.order != "promote":
            last = order
    return last if last and last.order == "pin" else None


def order_of(orders: Iterable[Order], as_of: date, parent: Release | None) -> Order | None:
    """What a night obeys: the pin in force; else the last promotion that no release has followed yet."""
    given = [order for order in orders if order.after < as_of]
    promotions = [
        order for order in given if order.order == "promote" and (parent is None or parent.as_of <= order.after)
    ]
    return pinned(given) or (promotions[-1] if promotions else None)


def serving_since(orders: Iterable[Order], encoder_id: str, trained: date, as_of: date) -> date:
    """When the encoder began to serve, from which its age counts: the night of its training or of its promotion."""
    promoted = (o.after for o in orders if o.order == "promote" and o.encoder_id == encoder_id and o.after < as_of)
    return max([trained, *promoted])
