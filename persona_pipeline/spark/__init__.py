"""Start a task's Spark session, and prepare jars and a class archive that make it start faster."""
