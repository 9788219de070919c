"""What the parts agree on: the data that pass between them, and one file for each contract. Everything else implements or uses these."""
