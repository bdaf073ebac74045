"""What was labelled teaches the model."""
