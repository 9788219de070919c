"""Values <-> arrays: fitted on training data, then saved with the model."""
