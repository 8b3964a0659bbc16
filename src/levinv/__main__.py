"""``python -m levinv``: the command line."""
import sys

from levinv.cli import main

sys.exit(main())
