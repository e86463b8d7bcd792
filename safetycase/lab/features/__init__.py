"""What the features of a sparse dictionary respond to and what they do: one file per part of the analysis."""
