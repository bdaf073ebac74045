"""Carrying an object through a stack."""
