"""Checks before anybody relies on the data: declared per table, run by Great Expectations in the warehouse."""
