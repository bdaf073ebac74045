"""How prompts become objects: tempo, level and the preview under the cursor."""
