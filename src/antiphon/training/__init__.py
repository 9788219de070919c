"""Training: the loop with its steps, optimizers, schedules, validation and logs."""
