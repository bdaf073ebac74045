"""Writing into Labels layers, of any size, and taking it back."""
