"""Print a comparison of two sets of personas: figures, matched personas, and a few items side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from persona_pipeline.core.terminal import counted, one_line, paragraph
from persona_pipeline.extract_preview.comparison import Costs, PersonaComparison, Side, mean

Row = dict[str, Any]

_ITEMS = 3  # shown in full


def show_comparison(
    found: PersonaComparison,
    titles: Mapping[str, str | None],
    console: Console,
    further: Sequence[tuple[str, Callable[[Side], str]]] = (),
) -> None:
    """Print a comparison; `titles` of the items, as far as known; `further` figures by name, with a side's value."""
    left, right = found.left, found.right
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(f"items: {len(found.items):,}", no_wrap=True)
    for side in (left, right):
        table.add_column(one_line(side.name, 40), justify="right", overflow="fold")
    for name, figure in (*_figures(left, right), *further):
        table.add_row(name, *(figure(side) for side in (left, right)))
    console.print(table)
    total = len(left.rows)
    share = f" ({found.matched / total:.0%})" if total else ""
    console.print(
        Text.assemble(
            f"\n{found.matched:,} of {total:,} personas{share} of ", (left.name, "bold"),
            " have a counterpart in ", (right.name, "bold"), "\n",
        )
    )  # fmt: skip
    for item in found.items[:_ITEMS]:
        title = titles.get(item)
        console.print(Text.assemble((one_line(title).plain + "  " if title else "", "bold"), one_line(item)))
        console.print(_side_by_side(found, item))
        console.print()
    if len(found.items) > _ITEMS:
        console.print(f"[dim]the first {_ITEMS} of {len(found.items):,} items; --item shows others[/]")


def _figures(left: Side, right: Side) -> list[tuple[str, Callable[[Side], str]]]:
    """Rows of the table: label, and a function of a side."""
    outcomes = dict.fromkeys(name for side in (left, right) if side.costs for name in sorted(side.costs.outcomes))
    return [
        ("requests asked", _of_costs(lambda c: f"{c.asked:,}")),
        ("replies on record", _of_costs(lambda c: f"{c.cached:,}")),
        *((f"outcome {name}", _outcome(name)) for name in outcomes),
        ("valid replies", _of_costs(lambda c: _share(c.valid_share))),
        ("reviews refused something", _of_costs(lambda c: f"{c.refused['review_aspects']:,}")),
        ("summaries refused", _of_costs(lambda c: f"{c.refused['item_summaries']:,}")),
        ("personas answered", _of_costs(lambda c: f"{sum(c.verdicts.values()):,}")),
        ("grounded", _of_costs(lambda c: _share(c.grounded_share))),
        ("unsafe", _of_costs(lambda c: f"{c.verdicts.get('unsafe', 0):,}")),
        ("personas kept", lambda side: f"{len(side.rows):,}"),
        ("items with personas", lambda side: f"{len(side.personas):,}"),
        ("personas per such item", lambda side: _number(mean([len(rows) for rows in side.personas.values()]))),
        ("reviewers per persona", lambda side: _number(mean([row["support"] for row in side.rows]))),
        ("quotes per persona", lambda side: _number(mean([len(row["evidence"]) for row in side.rows]))),
        ("tokens of the sample", _of_costs(lambda c: f"{c.tokens:,}")),
        ("tokens of the catalogue", _of_costs(lambda c: f"{c.catalogue_tokens:,.0f}")),
        ("minutes of one engine", lambda side: f"{_hours(side) * 60:,.1f}" if side.costs else "-"),
        ("cost", lambda side: f"{_hours(side) * side.cost_per_hour:,.2f}" if side.costs else "-"),
    ]


def _side_by_side(found: PersonaComparison, item: str) -> Table:
    """Matched personas on one line, unmatched ones below."""
    left, right = found.left.personas.get(item, ()), found.right.personas.get(item, ())
    pairs = found.pairs[item]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), expand=True)
    for side in (found.left, found.right):
        table.add_column(one_line(side.name, 40), ratio=1)
    for place, row in enumerate(left):
        table.add_row(_told(row), _told(right[pairs[place]]) if place in pairs else "-")
    for place, row in enumerate(right):
        if place not in pairs.values():
            table.add_row("-", _told(row))
    return table


def _told(row: Row) -> Text:
    backed = f"{counted(len(row['evidence']), 'quote')}, {counted(row['support'], 'reviewer')}"
    return Text.assemble((one_line(row["name"]).plain, "bold"), (f"  {backed}\n", "dim"), paragraph(row["description"]))


def _of_costs(figure: Callable[[Costs], str]) -> Callable[[Side], str]:
    """A figure of a trial's costs; a dash for a release."""
    return lambda side: figure(side.costs) if side.costs else "-"


def _outcome(name: str) -> Callable[[Side], str]:
    return _of_costs(lambda costs: f"{costs.outcomes.get(name, 0):,}")


def _hours(side: Side) -> float:
    return side.costs.catalogue_tokens / side.tokens_per_second / 3600 if side.costs else 0.0


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
