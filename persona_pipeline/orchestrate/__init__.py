"""Run the tasks of a run: through Airflow, or sequentially without it."""
