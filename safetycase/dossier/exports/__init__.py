"""Exports: one file per outside format, each a pure function from the records of a case to text."""
