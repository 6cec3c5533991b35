"""Load table contracts (`schemas/<table>.yaml`): columns, key, role, and the Arrow schema."""

from persona_pipeline.contracts.loader import Column, Contract, StructField, Subject, load_contract, table_names

__all__ = ["Column", "Contract", "StructField", "Subject", "load_contract", "table_names"]
