"""Erasure: a person's data goes from every layer, and does not come back."""
