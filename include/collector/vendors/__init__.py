"""Webhooks of vendors that have no source file of their own yet; one file each, discovered."""
