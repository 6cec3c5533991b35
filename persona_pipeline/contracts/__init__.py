"""Contracts of tables: `schemas/<table>.yaml` read, checked, and turned into Arrow schemas."""

from persona_pipeline.contracts.loader import Column, Contract, StructField, load_contract, table_names

__all__ = ["Column", "Contract", "StructField", "load_contract", "table_names"]
