"""Adapters: what a person's images have taught a model, in a small file beside the model that it was taught to."""
