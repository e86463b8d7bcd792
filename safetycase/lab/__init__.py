"""The asking half: torch lives here and nowhere else."""
