"""The meeting point of the two halves: records, tables, statistics and the derivation of findings from observations."""
