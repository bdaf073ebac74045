"""Changing objects that exist, whoever drew them: pick, delete, split and merge, each as one step of undo."""
