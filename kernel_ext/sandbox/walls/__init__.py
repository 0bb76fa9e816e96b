"""The walls of a confined copy of the kernel: namespaces, Landlock, a filter of system calls."""
