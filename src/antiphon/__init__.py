"""Antiphon turns one sequence into another."""
