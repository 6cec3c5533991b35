"""Feed hostile files to every source, and count what becomes of their records: `fuzz_sources.py [--cases 50000] [--seed N]`.

Nothing may escape but a PipelineError that names the file; every record read is a valid row or a refusal with a listed reason;
where the file's shape says how many records it holds, as many are read. Stops at the first case that breaks this, made small.
The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from _hostile_records import REASONS, Case, cases, judge, listed_reasons
from hypothesis import HealthCheck, Phase, given, seed, settings

from persona_pipeline.sources.adapters import ADAPTERS, InputKind

KINDS: tuple[InputKind, ...] = ("reviews", "items")


def main(arguments: list[str]) -> None:
    """Run as many cases as asked, the same number for each source and kind of input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    assert listed_reasons() >= REASONS
    began, counts = time.perf_counter(), Counter[str]()
    pairs = [(source, kind) for source in sorted(ADAPTERS) for kind in KINDS]
    each = -(-asked.cases // len(pairs))
    with tempfile.TemporaryDirectory() as folder:
        for source, kind in pairs:
            _many(source, kind, each, asked.seed, Path(folder), counts)
            print(f"{source} {kind}: {dict(counts)}", file=sys.stderr, flush=True)
    print(json.dumps({**counts, "seconds": round(time.perf_counter() - began, 1), "seed": asked.seed}))


def _many(source: str, kind: InputKind, count: int, number: int, folder: Path, counts: Counter[str]) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(source, kind))
    def run(case: Case) -> None:
        accepted, refused = judge(case, folder)
        counts["cases"] += 1
        counts["files_refused"] += not accepted + refused
        counts["records_accepted"] += accepted
        counts["records_refused"] += refused

    run()


if __name__ == "__main__":
    main(sys.argv[1:])
