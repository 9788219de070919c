"""(output, labels, weights) -> what a batch loses, summed up."""
