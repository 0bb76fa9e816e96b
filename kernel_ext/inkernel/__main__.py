"""`python -m inkernel`: the same as the command `inkernel`."""

import sys

from inkernel.kernel_ext.cli.main import main

sys.exit(main())
