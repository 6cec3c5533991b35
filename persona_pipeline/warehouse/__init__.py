"""Read and write Delta tables by contract, from delta-rs (`Warehouse`) and from Spark (`SparkWarehouse`).

A write states the whole content a table should have, which is compared with the stored rows; when no row differs there
is no commit at all. So a rerun of a job leaves data, versions and files as they are.
"""

from persona_pipeline.warehouse._differences import bounded_memory, limit_memory
from persona_pipeline.warehouse._pins import Pins
from persona_pipeline.warehouse.delta_rs import Warehouse, WriteResult

__all__ = ["Pins", "Warehouse", "WriteResult", "bounded_memory", "limit_memory"]
