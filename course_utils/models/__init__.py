"""Models that a later lesson needs again."""
