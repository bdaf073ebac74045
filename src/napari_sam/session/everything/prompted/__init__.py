"""Objects that somebody prompted, many at once: by points and boxes, or by labels that are to become exact."""
