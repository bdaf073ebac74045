"""What the dock shows of objects that exist."""
