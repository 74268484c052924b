"""Webhooks of vendors that are no source; one file per vendor, discovered."""
