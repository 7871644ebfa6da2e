"""``python -m hsejobs_tui``."""

from hsejobs_tui.start import main

main()
