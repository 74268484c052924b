"""Webhooks that no source file declares; one file per vendor, discovered."""
