"""Circuits without dictionaries: patching grids, edge attribution and exact edge patching over heads and MLPs of any model."""
