"""The recipe file, and how the parts that it names are built."""
