"""Measurements of the whole program and of its peers on the same work; `python -m benchmarks` lists them."""
