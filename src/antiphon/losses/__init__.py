"""(output, labels) -> one number per element."""
