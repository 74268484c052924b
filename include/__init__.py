"""Stitchline: customer data from every tool, one record per person, lists back out."""
