"""What was accepted: its history, the current object, the journal."""
