"""The small operational store that many processes write: budgets, circuits, locks, tokens, incidents."""
