"""Differential testing: random networks on every target, compared with the reference."""
