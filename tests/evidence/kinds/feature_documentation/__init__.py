"""Tests of the documentation of features."""
