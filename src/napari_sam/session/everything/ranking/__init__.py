"""Ranks the objects that were found: by words, with a CLIP model, or by examples, with the model that found them."""
