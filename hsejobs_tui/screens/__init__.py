"""One module a screen; each knows the session and the widgets, and no other screen."""
