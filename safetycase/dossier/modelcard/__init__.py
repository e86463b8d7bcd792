"""What goes into a model card: a section for readers, results for machines, and the markers between which the section stands."""

from safetycase.dossier.modelcard.card import attach_card
from safetycase.dossier.modelcard.markers import with_section
from safetycase.dossier.modelcard.metrics import is_ours, model_name, results
from safetycase.dossier.modelcard.section import section

__all__ = ["attach_card", "is_ours", "model_name", "results", "section", "with_section"]
