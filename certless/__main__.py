"""``python -m certless``: the command line."""

import sys

from gateway.cli.main import main

sys.exit(main())
