"""The recipe file, and from a recipe to the parts that it names."""
