"""What a stranger wrote stays on its line, in its place and without effect."""

from rich.console import Console

from persona_pipeline.core.terminal import counted, one_line, paragraph


def test_neither_markup_nor_escape_sequences_nor_floods() -> None:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(one_line("[red]a\x1b[2J\n b\u202e", 10), paragraph("x\ty\r\nz" + "!" * 3_000, 8), sep="\n")
    assert shown.get() == "[red]a�[2J… (3 more characters)\nx       … (3,003 more characters)\n".replace("\t", " ")


def test_counted() -> None:
    assert [counted(n, "request") for n in (0, 1, 2_000)] == ["0 requests", "1 request", "2,000 requests"]
