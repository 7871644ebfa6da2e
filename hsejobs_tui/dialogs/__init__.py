"""Modal dialogs: questions, the progress bar of an act, the editor and the help."""
