"""Training of the compact model: synthetic scenes, real images, simulated prompts, and the loop."""
