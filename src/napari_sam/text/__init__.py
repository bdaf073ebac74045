"""Words: which of the objects on a plane look like what a phrase says."""
