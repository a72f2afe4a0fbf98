"""`python -m mendline` is `mendline`."""

import sys

try:
    from mendline.cli import main
except KeyboardInterrupt:
    sys.exit(130)  # what follows the import says so itself

if __name__ == "__main__":
    main()
