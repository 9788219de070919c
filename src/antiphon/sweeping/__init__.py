"""A sweep is made of the settings to try (`settings`, `space`), which worker has which trial (`lease`), the record of all (`journal`).

Nothing here trains: `runs/sweep.py` does.
"""
