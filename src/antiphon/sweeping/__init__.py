"""What a sweep is made of: the settings to try (`settings`, `space`), who is at which trial (`lease`), what is known of all (`journal`).

Nothing here trains: `runs/sweep.py` does.
"""
