"""Figures: one file per noun, each a pure function from numbers to an SVG drawing."""
