"""What the person chose, kept from one session to the next: the file, and what of a session's choices goes there."""
