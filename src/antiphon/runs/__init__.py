"""What can be done with a run, one command a file."""
