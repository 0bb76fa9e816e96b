"""Real kernels for the tests with servers of others."""

from tests.kernel_ext.conftest import agent, kernel

__all__ = ["agent", "kernel"]
