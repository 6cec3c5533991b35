"""Run the tasks of a run: through Airflow, or one after the other without it."""
