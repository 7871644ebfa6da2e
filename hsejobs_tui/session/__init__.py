"""The session: what screens may use, and how they open other screens."""
