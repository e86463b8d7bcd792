"""`python -m safetycase`."""

from safetycase.cli import main

main()
