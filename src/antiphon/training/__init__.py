"""The loop: step, optimizers, schedules, evaluation, logs."""
