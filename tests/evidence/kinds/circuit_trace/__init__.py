"""Tests of the circuit trace."""
