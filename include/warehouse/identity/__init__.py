"""Identity: whose every identifier and every event is."""
