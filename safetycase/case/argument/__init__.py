"""The argument: a pattern in goal structuring notation, instantiated on a judged case and held to what a reviewer expects."""

from safetycase.case.argument.building import build_argument
from safetycase.case.argument.pattern import Pattern, load_pattern

__all__ = ["Pattern", "build_argument", "load_pattern"]
