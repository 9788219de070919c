"""Hyperparameter sweeps: the settings to try (`settings`, `space`), which worker has which trial (`lease`), the record of all trials
(`journal`).

Nothing here trains: `runs/sweep.py` does.
"""
