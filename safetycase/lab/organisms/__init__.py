"""Small models with planted truth: what they are trained on, how, and the bundled weights."""
