"""The views of a turn: in a notebook and in a terminal. Knows no turn that runs."""
