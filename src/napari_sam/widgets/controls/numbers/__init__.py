"""Controls for numbers."""
