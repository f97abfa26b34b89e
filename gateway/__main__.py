"""``python -m gateway``: the command line of ``gateway.cli``."""

import sys

from gateway.cli.main import main

sys.exit(main())
