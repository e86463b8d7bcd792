"""Sparse dictionaries: one in-memory type, one reader per published format, the trainer."""
