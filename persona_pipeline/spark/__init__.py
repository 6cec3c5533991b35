"""The Spark session of a task, and what `make setup` prepares so that it starts sooner."""
