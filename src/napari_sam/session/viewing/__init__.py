"""What is on screen: the image, the plane of it, where it lies and which channel is read."""
