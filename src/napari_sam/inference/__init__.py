"""Where on a plane the model looks, what it is asked there, and what is made of its answers."""
