"""Image encoders: a plane in, features out."""
