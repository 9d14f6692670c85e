"""Run the program as ``python -m mailarchive``."""

import sys

if __name__ == "__main__":
    try:
        from mailarchive.cli.main import run

        run()
    except KeyboardInterrupt:  # while the program is still being read
        sys.exit(130)
