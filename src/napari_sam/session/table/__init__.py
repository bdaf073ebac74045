"""Classes of objects, what the person thinks of them, and the table of them."""
