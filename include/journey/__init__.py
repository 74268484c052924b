"""One customer's journey as people look at it: found by any identifier, read from what is published, linked to."""
