"""What becomes of the masks of many objects: clean-up and limits, live."""
