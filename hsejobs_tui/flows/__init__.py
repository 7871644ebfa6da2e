"""What takes several steps: asked in dialogs, done through the session, reported."""
