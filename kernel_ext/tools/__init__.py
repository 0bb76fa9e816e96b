"""The tools that need the kernel or the notebook. They know no loop."""
