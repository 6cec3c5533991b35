"""Ingest input files into the warehouse: parse those no run has parsed, and choose what of them a night keeps."""
