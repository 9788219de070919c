"""Inference engines that run exported models, one per file. Nothing here needs the code of a model."""
