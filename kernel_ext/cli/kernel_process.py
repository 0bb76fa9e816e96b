"""The process of a headless kernel: ipykernel, but no message waits too long. Knows no notebook.

It is run as a file, so that nothing in the notebook's folder is imported before the kernel is.
"""

import sys
from pathlib import Path
from typing import Any, cast

if __name__ == "__main__":
    sys.path[:] = [each for each in sys.path if each != str(Path(__file__).parent)]

    import zmq
    from ipykernel.kernelapp import IPKernelApp

    class HeadlessKernel(IPKernelApp):
        """A kernel whose outputs and events queue without bound. ZeroMQ drops those over 1,000."""

        def init_iopub(self, context: Any) -> None:
            """Make the socket of outputs."""
            context.setsockopt(zmq.SNDHWM, 0)
            cast("Any", super()).init_iopub(context)

    HeadlessKernel.launch_instance()
