"""The bundled model from data to file."""
