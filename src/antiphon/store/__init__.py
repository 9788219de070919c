"""What is stored on disk: checkpoints, and how files are written so that a kill at any moment loses nothing."""
