"""Parse job events (JSON lines and progress messages) out of job output or Airflow's log, for display in a terminal."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any

_PROGRESS = re.compile(
    r"\b(?:answered|embedded|step) \d+ of \d+[ :][^\[]+"
)  # as the jobs log it, before Airflow's own words


def events(lines: Iterable[str], kept: IO[str]) -> Iterator[dict[str, Any]]:
    """Yield the jobs' JSON lines, wherever in Airflow's log lines they stand, and the progress of long jobs."""
    decoder = json.JSONDecoder()
    for line in lines:
        kept.write(line)
        kept.flush()
        start = line.find('{"job": ')
        if start < 0:
            if progress := _PROGRESS.search(line):
                yield {"event": "progress", "text": progress[0].strip()}
            continue
        try:
            event, _ = decoder.raw_decode(line[start:])
        except ValueError:
            continue
        if "event" in event:
            yield event


def brief(event: dict[str, Any]) -> str:
    """A job's summary in a few words."""
    parts = []
    for result in [*event.get("written", []), *([event["candidate"]] if "candidate" in event else [])]:
        changes = [
            f"{mark}{result[kind]:,}"
            for mark, kind in (("+", "inserted"), ("~", "updated"), ("-", "deleted"))
            if result[kind]
        ]
        parts.append(f"{result['table']} {' '.join(changes) or 'unchanged'}")
    counts = {k: v for k, v in event.items() if isinstance(v, int) and not isinstance(v, bool) and k != "seconds"}
    if "llm" in event:
        counts |= {"requests asked": event["llm"]["asked"], "answers on record": event["llm"]["cached"]}
        counts |= event["llm"]["outcomes"]
    parts += [f"{name.replace('_', ' ')} {value:,}" for name, value in counts.items()]
    parts += [str(event[key]) for key in ("verdict", "report") if key in event]
    return ", ".join(parts)
