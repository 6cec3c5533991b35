"""Run a stage as a pure function of the rows that belong to some keys, one bucket of keys after the other or beside each other.

What a stage reads is cut into buckets of a key (`Source`, `buckets`), each small enough for memory; a function computes what
becomes of one bucket (`Part`) and writes it; the results of all, names of files and counts, are committed together (`Keyed`).
Which process runs a bucket is an engine's affair (`engines`): a loop on this machine, without a JVM, or Spark's executors.
The rows do not depend on it, nor on the number of buckets.
"""

from persona_pipeline.keyed.buckets import Shuffle, Source
from persona_pipeline.keyed.task import Keyed, Part, keyed_work, scratch_folder

__all__ = ["Keyed", "Part", "Shuffle", "Source", "keyed_work", "scratch_folder"]
