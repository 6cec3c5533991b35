"""Ingest files of reviews, item metadata and candidates in several formats, into cleaned and de-duplicated rows."""
