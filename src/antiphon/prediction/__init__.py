"""Predictions by a trained model, and scores of them."""
