"""What was accepted: its history, the object in hand, the journal."""
