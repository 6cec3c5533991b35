"""Timestamps as sources write them: the Python and the Spark parser must agree on every one."""

from datetime import UTC, datetime

TIMESTAMPS: list[tuple[object, datetime | None]] = [
    (1_718_000_000, datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    ("1718000000", datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    (1_718_000_000.0, datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    (1_718_000_000_000, datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    ("2024-06-10", datetime(2024, 6, 10, tzinfo=UTC)),
    ("2024-06-10T06:13:20", datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    ("2024-06-10T08:13:20+02:00", datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    ("2024-06-10 06:13:20Z", datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    ("yesterday", None),
    ("", None),
    (None, None),
]
