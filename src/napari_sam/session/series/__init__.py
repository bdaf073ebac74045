"""Images that are annotated one after the other: opened, saved and left by a key."""
