"""Synthetic scenes, for training and for validation."""
