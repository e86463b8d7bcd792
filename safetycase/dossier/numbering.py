"""Figures and tables bear numbers in the order of the pages."""

from dataclasses import replace
from itertools import count

from safetycase.dossier.page import Exhibit, Figure, Table


class Numbering:
    """Counts through one document."""

    def __init__(self) -> None:
        self._figures, self._tables = count(1), count(1)

    def exhibit(self, shown: Exhibit) -> Exhibit:
        """All figures of an exhibit, then all its tables, in their order."""
        figures = {name: self.figure(figure) for name, figure in shown.figures.items()}
        return replace(shown, figures=figures, tables={name: self.table(table) for name, table in shown.tables.items()})

    def figure(self, figure: Figure) -> Figure:
        """The figure with the next number."""
        return replace(figure, number=next(self._figures))

    def table(self, table: Table) -> Table:
        """The table with the next number."""
        return replace(table, number=next(self._tables))
