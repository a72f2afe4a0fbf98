"""`python -m mendline` is `mendline`."""

from mendline.cli import main

main()
