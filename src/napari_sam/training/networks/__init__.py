"""Networks of the architectures that can learn, each as the training loop takes it."""
