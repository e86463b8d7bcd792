"""The plan: what is declared before the run, checked without loading weights, and the questions that follow from it."""

from safetycase.plan.loading import load_plan
from safetycase.plan.plan import Plan
from safetycase.plan.questions import Resolved, ResolvedModel, question, resolve_local_model

__all__ = ["Plan", "Resolved", "ResolvedModel", "load_plan", "question", "resolve_local_model"]
