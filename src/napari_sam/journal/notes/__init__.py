"""What the person said of objects, besides drawing them: read from the journal, and kept beside labels files."""
