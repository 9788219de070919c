"""What the parts agree on: the nouns that travel, and one file for each contract. Everything else implements or uses these."""
