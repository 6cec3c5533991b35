"""Tell reasons that are faults of the input from those that are not, and refuse an input with too many faults."""

from collections.abc import Mapping

from persona_pipeline.core.errors import SourceError

NOT_FAULTS = ("copy", "edited", "empty", "repeated", "unrated")
"""Records that say what another says or an earlier state of it, have no rating, or hold nothing: no share of them is a fault."""
UNREADABLE = ("not_json", "not_csv", "not_python_literal")
"""Records of which no field is known."""
_TOLD = 3


def require_few_faults(
    kind: str, lines: int, reasons: Mapping[str, int], setting: str, max_share: float, table: str, hint: str = ""
) -> None:
    """Raise SourceError naming the top reasons where more than `max_share` of the records are faulty.

    Args:
        kind: of the input.
        lines: records of it.
        reasons: records set aside, by reason.
        setting: key of the configuration that says `max_share`.
        table: where they are.
        hint: what may help.
    """
    faults = {reason: n for reason, n in reasons.items() if reason not in NOT_FAULTS}
    refused = sum(faults.values())
    if refused <= max_share * lines:
        return
    top = ", ".join(f"{reason} {n:,}" for reason, n in sorted(faults.items(), key=lambda fault: -fault[1])[:_TOLD])
    raise SourceError(
        f"{kind}: {refused:,} of {lines:,} records refused ({refused / lines:.1%}; {setting} is {max_share:.1%}): {top}. They are "
        f"in the table {table} with file, line and reason.{hint}"
    )
