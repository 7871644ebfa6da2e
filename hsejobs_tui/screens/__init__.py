"""One module per screen; each uses the session and the widgets, and imports no other screen."""
