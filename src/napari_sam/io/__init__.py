"""Planes out of image files, labels into files."""
