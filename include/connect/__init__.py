"""The language in which a source is declared, and the engine that pulls it."""
