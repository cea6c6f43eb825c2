"""`python -m fastmas.cli` is the same as `fastmas`."""

import sys

from fastmas.cli import main

sys.exit(main())
