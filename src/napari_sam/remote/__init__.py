"""Planes encoded on another machine, which a Dask scheduler stands for."""
