"""The section of choices that are made once: what the model looks at, and how much disk embeddings may take."""
