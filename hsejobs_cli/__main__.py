"""``python -m hsejobs_cli``."""

from hsejobs_cli.main import main

main()
