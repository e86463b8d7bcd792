"""Published formats of sparse dictionaries, one reader each."""
