"""Progress is an event in a job's log, and a plain message anywhere else."""

import json
import subprocess
import sys

PROGRAM = """
import logging
from persona_pipeline.core.progress import log_events, log_progress
log_events("text_embeddings")
logger = logging.getLogger("persona_pipeline.embeddings.cache")
log_progress(logger, "embedded %d of %d new texts", 3, 10, done=3, of=10)
logger.info("step 1 of 2: no progress")
"""


def test_progress_is_an_event_of_the_job_and_other_messages_are_as_they_are() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    event, message = done.stderr.splitlines()
    assert json.loads(event) == {
        "job": "text_embeddings",
        "event": "progress",
        "text": "embedded 3 of 10 new texts",
        "done": 3,
        "of": 10,
    }
    assert message == "step 1 of 2: no progress"
