"""The bundled model: a compact SAM for processors."""
