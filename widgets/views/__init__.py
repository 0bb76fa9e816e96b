"""Where a turn is shown: a notebook, a terminal. Knows no turn that runs."""
