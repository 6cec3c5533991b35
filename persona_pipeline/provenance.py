"""What a thing was made from, as a hash."""

import hashlib

from persona_pipeline.warehouse import Warehouse


def reviews_digest(warehouse: Warehouse) -> str:
    """sha256, in hexadecimal, over the sorted review ids of the newest `reviews`, joined by newlines.

    An encoder's artefact carries that of the reviews it was trained from, so that an evaluation can tell whether they
    were those it was allowed to see.
    """
    found = warehouse.query("SELECT review_id FROM reviews", ["reviews"])["review_id"].to_pylist()
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()
