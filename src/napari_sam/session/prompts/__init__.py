"""The layers in which a person prompts, and what is read off them."""
