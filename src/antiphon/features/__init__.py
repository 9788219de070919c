"""Features, which turn values into arrays and back: fitted on training data, then saved with the model."""
