"""Questions, the bar of an act on many, the editor, the help: what opens over a screen."""
