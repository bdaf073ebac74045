"""The sections of the dock."""
