"""The interfaces between the parts: the data that pass between them, and one file for each contract. All other packages implement or use
these."""
