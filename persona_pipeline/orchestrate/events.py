"""Parse job events (JSON lines, progress among them) out of job output or Airflow's log, for display in a terminal."""

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any


def events(lines: Iterable[str], kept: IO[str]) -> Iterator[dict[str, Any]]:
    """Yield the jobs' JSON lines, wherever in Airflow's log lines they stand, and the progress of long jobs."""
    decoder = json.JSONDecoder()
    for line in lines:
        kept.write(line)
        kept.flush()
        start = line.find('{"job": ')
        if start < 0:
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
