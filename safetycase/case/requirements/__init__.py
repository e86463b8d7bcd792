"""What the law asks and what the evidence answers: requirement packs, and their coverage by a case."""
