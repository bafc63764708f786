"""Scorers that ask a model, one module each."""
