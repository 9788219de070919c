"""Output heads, which turn decoder vectors into outputs."""
