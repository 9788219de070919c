"""Losses: from (output, labels, weights) to the summed loss of a batch."""
