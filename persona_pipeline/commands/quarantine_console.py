"""Print `quarantine`: counts by stage and reason, and everything needed to judge one refusal."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.core.terminal import counted, one_line, paragraph
from persona_pipeline.extract.quarantine import refusals
from persona_pipeline.warehouse import Warehouse

_NOTHING = "[green]nothing is quarantined[/]: the last night's extraction refused no output"
_REPLIES = 12  # shown in full


def show_refusals(warehouse: Warehouse, stage: str | None, reason: str | None, limit: int, console: Console) -> None:
    """Print how many outputs are refused, by stage and reason, and the first `limit` matching refusals."""
    if not warehouse.exists("quarantine"):
        console.print(
            f"{warehouse.root} has no table quarantine yet: no night has extracted anything there", markup=False
        )
        return
    counts = warehouse.query(
        "SELECT stage, reason, count(*) AS outputs FROM quarantine GROUP BY ALL ORDER BY stage, outputs DESC, reason",
        ["quarantine"],
    ).to_pylist()
    if not counts:
        console.print(_NOTHING)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("stage", "reason"):
        table.add_column(column, no_wrap=True)
    table.add_column("outputs", justify="right")
    for row in counts:
        table.add_row(row["stage"], row["reason"], f"{row['outputs']:,}")
    console.print(table)
    shown = refusals(warehouse, [stage] if stage else (), reason, limit=limit)
    chosen = [r for r in counts if stage in (None, r["stage"]) and reason in (None, r["reason"])]
    total = sum(row["outputs"] for row in chosen)
    for name in dict.fromkeys(row["stage"] for row in shown):
        console.print(f"\n[bold]{name}[/]")
        table = _table()
        for row in shown:
            if row["stage"] == name:
                item = row["title"] or row["item_id"] or ""
                table.add_row(*(one_line(cell) for cell in (row["subject_id"], item, row["reason"], row["detail"])))
        console.print(table)
    if total > len(shown):
        console.print(
            f"\n[dim]the first {len(shown):,} of {total:,}; --limit shows more, --stage and --reason fewer[/]"
        )
    elif not total:
        console.print("\n[dim]none of that stage and reason[/]")


def show_refusal(warehouse: Warehouse, subject: str, stage: str | None, console: Console) -> None:
    """Print one subject: reason of its refusal, its text, every cached reply, and its item's current personas.

    Raises PipelineError for a subject without a row in `quarantine`.
    """
    found = refusals(warehouse, [stage] if stage else (), subjects=[subject])
    if not found:
        of_stage = f" by {stage}" if stage else ""
        raise PipelineError(
            f"quarantine show {subject}: no output about it is quarantined{of_stage}. "
            "`persona-pipeline quarantine list` shows what is."
        )
    for row in found:
        told = Text.assemble((subject, "bold"), f"  {row['stage']}  ", (row["reason"], "red"))
        console.print(told, Padding(paragraph(row["detail"], 4_000), (0, 0, 1, 2), expand=False), sep="\n")
    _show_what_it_is(warehouse, subject, found[0]["item_id"], console)
    for name in dict.fromkeys(row["stage"] for row in found):
        _show_replies(warehouse, name, subject, console)


def _show_what_it_is(warehouse: Warehouse, subject: str, item_id: str | None, console: Console) -> None:
    review = warehouse.query(
        "SELECT rating, text FROM reviews WHERE review_id = $id", ["reviews"], {"id": subject}
    ).to_pylist()
    for row in review:
        console.print(Text.assemble(("the review", "bold"), f", {row['rating']:g} of 5 stars"))
        console.print(Padding(paragraph(row["text"], 8_000), (0, 0, 1, 2), expand=False))
    if item_id is None:
        return
    (item,) = warehouse.query(
        "SELECT title, len(evidence) AS reviews, review_count FROM (SELECT $id AS item_id) LEFT JOIN items USING (item_id) "
        "LEFT JOIN item_reviews USING (item_id)",
        ["items", "item_reviews"],
        {"id": item_id},
    ).to_pylist()
    console.print(
        Text.assemble(
            ("the item", "bold"), " ", one_line(item_id), "  ", one_line(item["title"] or "without a title"),
            f"  {item['reviews'] or 0} of {item['review_count'] or 0} reviews in evidence",
        )
    )  # fmt: skip
    personas = warehouse.query(
        "SELECT name, support, persona_source, first_as_of FROM item_personas "
        "WHERE item_id = $id AND status = 'current' ORDER BY position, persona_id",
        ["item_personas"],
        {"id": item_id},
    ).to_pylist()
    if not personas:
        console.print("  it has no persona now")
    for row in personas:
        backed = counted(row["support"], "reviewer")
        console.print(
            Text.assemble(
                "  has ", one_line(row["name"]), f", {row['persona_source']}, {backed}, since {row['first_as_of']}"
            )
        )
    console.print()


def _show_replies(warehouse: Warehouse, stage: str, subject: str, console: Console) -> None:
    # A longer attempt follows a shorter one, another seed a malformed reply: this is the order of attempts.
    replies = warehouse.query(
        "SELECT * FROM llm_calls WHERE stage = $stage AND subject_id = $subject "
        "ORDER BY asked_as_of, model, seed, max_tokens, temperature, request_key",
        ["llm_calls"],
        {"stage": stage, "subject": subject},
    ).to_pylist()
    if not replies:
        console.print(
            f"[dim]{stage}: no reply is on record under this subject. Either none came (too_long, engine_error), or an equal "
            "request about another subject is what was answered.[/]"
        )
    for n, row in enumerate(replies[:_REPLIES], 1):
        drawn = f"seed {row['seed']}, temperature {row['temperature']:g}, at most {row['max_tokens']:,} tokens"
        spent = f"{row['prompt_tokens']:,} + {row['completion_tokens']:,} tokens, finish {row['finish']}"
        told = Text.assemble(
            (f"{stage}, reply {n}", "bold"), " ", (row["outcome"], "green" if row["outcome"] == "ok" else "red")
        )
        console.print(Text.assemble(told, f"  {row['asked_as_of']}  ", one_line(row["model"])))
        console.print(Text(f"  {drawn}; {spent}", "dim"))
        console.print(Padding(paragraph(row["output"]), (0, 0, 1, 2), expand=False))
    if len(replies) > _REPLIES:
        console.print(f"[dim]and {len(replies) - _REPLIES} later ones in llm_calls[/]")


def _table() -> Table:
    """One line per refusal: the subject in full, for `show`; the item and the detail as far as there is room."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    for column, ratio in (("subject", None), ("item", 2), ("reason", None), ("detail", 3)):
        table.add_column(column, no_wrap=True, overflow="ellipsis", ratio=ratio)
    return table
