"""``python -m gateway``: the command line of ``gateway.cli``."""

import sys

from .cli import main

sys.exit(main())
