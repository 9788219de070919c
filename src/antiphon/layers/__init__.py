"""Parts of networks, for any task."""
