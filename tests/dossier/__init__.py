"""Tests of the showing half."""
