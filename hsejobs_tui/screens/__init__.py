"""One module a screen; each fills a base with its own columns and acts."""
