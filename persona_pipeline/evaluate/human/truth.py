"""Estimate shares of true personas and sensible explanations from verdicts, with 95% intervals, in all and by source and prompt."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from persona_pipeline.core.terminal import one_line
from persona_pipeline.evaluate.human.records import ExplanationToJudge, PersonaToJudge, said

Record = PersonaToJudge | ExplanationToJudge
R = TypeVar("R", PersonaToJudge, ExplanationToJudge)


@dataclass(frozen=True, slots=True)
class TrueShare:
    """A share, `yes` of `of`, with Wilson's 95% interval; 0 to 1 for an empty sample."""

    yes: int
    of: int

    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        if not self.of:
            return 0.0, 1.0
        from scipy.stats import binomtest

        found = binomtest(self.yes, self.of).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.yes}/{self.of} = {self.yes / self.of:.0%} [{low:.0%}, {high:.0%}]" if self.of else "-"


def share(verdicts: Iterable[bool | None]) -> TrueShare:
    """Count the share of True among the verdicts given."""
    given = [verdict for verdict in verdicts if verdict is not None]
    return TrueShare(sum(given), len(given))


def known_truth(records: Sequence[Record]) -> dict[str, bool]:
    """Map `said` hashes to judged truth; a later verdict on the same hash replaces an earlier one."""
    return {
        record.said: record.verdict.true
        for record in records
        if isinstance(record, PersonaToJudge) and record.verdict.true is not None
    }


def truth_of(personas: Iterable[Mapping[str, Any]], known: Mapping[str, bool]) -> TrueShare:
    """Share of true personas among rows of `item_personas` whose statements were judged."""
    return share(known.get(said(row)) for row in personas)


def show_truth(records: Sequence[Record], console: Console) -> None:
    """Print shares for personas and for explanations, in all and by group."""
    personas = [record for record in records if isinstance(record, PersonaToJudge) and record.judged]
    told = [record for record in records if isinstance(record, ExplanationToJudge) and record.judged]
    open_ = len(records) - len(personas) - len(told)
    if personas:
        measures: dict[str, Callable[[PersonaToJudge], bool | None]] = {
            "true": lambda r: r.verdict.true,
            "a person or motive": lambda r: r.verdict.person,
            "readable": lambda r: r.verdict.readable,
        }
        console.print(_table("personas", personas, measures))
    if told:
        console.print(
            _table(
                "explanations",
                told,
                {"sensible": lambda r: r.verdict.sensible, "objection": lambda r: r.verdict.objection},
            )
        )
    if open_:
        console.print(f"[dim]{open_} not judged yet: set the fields of `verdict` to true or false[/]")


def _table(what: str, records: Sequence[R], measures: Mapping[str, Callable[[R], bool | None]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(what)
    for measure in measures:
        table.add_column(measure, no_wrap=True)
    for name, group in _groups(records):
        table.add_row(one_line(name), *(str(share(verdict(r) for r in group)) for verdict in measures.values()))
    return table


def _groups(records: Sequence[R]) -> Iterator[tuple[str, list[R]]]:
    """Yield all records, then groups by source, label and prompt, where there is more than one."""
    yield "all", list(records)
    for kind, key in _BY.items():
        groups: dict[str, list[R]] = defaultdict(list)
        for record in records:
            groups[str(key(record))].append(record)
        if len(groups) > 1:
            yield from ((f"{kind} {name}", groups[name]) for name in sorted(groups, key=lambda n: (-len(groups[n]), n)))


_BY: dict[str, Callable[[Record], str | None]] = {
    "source": lambda record: record.persona_source,
    "prompt or code": lambda record: record.extractor_version,
    "label": lambda record: record.topic,
}
