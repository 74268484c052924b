"""The webhook and tracking endpoint: verify, append durably, answer; then land what was appended."""

NAME = "collector"
"""The collector as a source: prefix of its raw tables, folder of its landing, id of the connection with its keys."""
