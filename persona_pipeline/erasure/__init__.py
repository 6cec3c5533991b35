"""Erase people from a warehouse: from every table in all its versions, caches, staging, logs, reports, copies of input.

`erase` does it, by these steps: `collect` finds what stands for the people (`Traces`: ids, words, hashes, personas that only
they support), `rows` and `derived` say what that does to rows of a table by its contract, `warehouse.history` rewrites the
tables, `loose_files` what lies beside them, and `warehouse.erasures` keeps who may not come back, without naming anybody.
"""
