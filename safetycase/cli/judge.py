"""`safetycase judge`: blinded random answers for a person to label, and reading the labels back."""
