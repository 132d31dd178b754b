"""`python -m api`: the command line, as `./nova` calls it."""

from api.cli import main

main()
