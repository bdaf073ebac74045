"""How good a model is: clicks and boxes on labelled images."""
