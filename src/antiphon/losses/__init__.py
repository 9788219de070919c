"""(output, labels, weights) -> the loss of a batch, summed up."""
