"""How good a model is: clicks, boxes, automatic segmentation and self-knowledge, on labelled images."""
