"""A share and its interval on a bar from 0 to 100 per cent, under a large number."""

from markupsafe import Markup

from safetycase.dossier.figures.svg import BLUE, GRID, RUST, Drawing
from safetycase.evidence.record import Estimate

_WIDTH, _HEIGHT, _INSET = 200.0, 14.0, 7.0


def bar(estimate: Estimate, *, edited: bool, alt: str) -> Markup:
    """Rust for an edited model, blue for the model as it is."""
    colour = RUST if edited else BLUE
    drawing = Drawing(_WIDTH, _HEIGHT)
    span, middle = _WIDTH - 2 * _INSET, _HEIGHT / 2
    drawing.line(_INSET, middle, _WIDTH - _INSET, middle, stroke=GRID, width=5)
    drawing.line(_INSET + estimate.low * span, middle, _INSET + estimate.high * span, middle, stroke=colour, width=5)
    drawing.dot(_INSET + estimate.value * span, middle, fill=colour, radius=5.2)
    return drawing.finish(alt)
