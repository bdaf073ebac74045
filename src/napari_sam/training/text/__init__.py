"""Teaching a promptable model to take words."""
