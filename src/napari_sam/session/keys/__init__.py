"""Keys: which ones the person chose for the actions, and their bindings on layers and viewer."""
