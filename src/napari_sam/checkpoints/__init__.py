"""Files with weights: which ones are known, where they are, how they get here and how they are opened."""
