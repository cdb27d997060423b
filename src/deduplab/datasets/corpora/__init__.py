"""Real corpora: how each kind of real data is cut into distinct objects."""
