"""Masks with their images, in the formats that other programs read and write."""
