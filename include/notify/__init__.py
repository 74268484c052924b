"""Telling people: a message is a dataclass, a channel is a function, an incident is told once."""
