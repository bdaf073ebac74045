"""The offer to restore what the journal knows of an image."""
