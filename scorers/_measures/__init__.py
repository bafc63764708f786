"""Deterministic scorers, one module each."""
