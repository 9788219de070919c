"""Tasks, which make examples of records and predictions of hypotheses. They are thin layers over features."""
