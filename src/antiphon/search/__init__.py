"""(step, memory, state) -> hypotheses. Knows no model."""
