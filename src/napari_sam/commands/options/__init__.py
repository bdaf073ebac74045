"""Options that several commands have: each is spelled and read in one place."""
