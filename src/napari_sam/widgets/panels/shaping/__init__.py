"""What becomes of a candidate before it is accepted."""
