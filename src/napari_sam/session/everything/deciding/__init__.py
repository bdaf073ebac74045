"""What the person decides about proposals: remembered, learnt from, and promised of the next plane."""
