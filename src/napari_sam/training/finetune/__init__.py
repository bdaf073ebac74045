"""Teaching a model one's own images: what it was stays as it is, and an adapter of a few hundred kilobytes learns."""
