"""The judging half: claims, and later the argument and the coverage of requirements."""
