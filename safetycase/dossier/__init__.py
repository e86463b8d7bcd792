"""The showing half: one frozen object per document, figures, HTML and PDF."""
