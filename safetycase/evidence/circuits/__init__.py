"""Circuits as sets of edges between components: their graph, how faithful they are, what random circuits of their size reach."""
