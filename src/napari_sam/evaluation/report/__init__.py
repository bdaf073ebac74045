"""What was measured, laid out for people and for programs."""
