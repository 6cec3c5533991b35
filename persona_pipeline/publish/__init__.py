"""Audit staged tables and publish them as a release, or record a refusal; roll back releases, delete unreferenced files."""
