"""How a mask gets from one plane to the next."""
