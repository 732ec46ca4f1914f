"""Tokens, and the metadata server that hands them to containers."""
