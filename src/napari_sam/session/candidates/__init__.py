"""What the model answers to the prompts on screen, before it is accepted."""
