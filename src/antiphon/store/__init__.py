"""Storage on disk: checkpoints, and files written such that a kill at any moment loses nothing."""
