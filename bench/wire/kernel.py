"""A turn of ours in a real ipykernel, with everything on: view, record, undo, the code itself.

The work `live` has a front end with widgets, and `headless` has nobody.
"""

import json
import sys

from bench.kernel import printed, running

from .job import SAID, job_from_argv


def main() -> None:
    """Run the job on the command line."""
    job = job_from_argv()
    environ = {
        "INKERNEL_BASE_URL": job.url,
        "INKERNEL_MODEL": "canned",
        "INKERNEL_TRANSPORT": job.transport,
        "INKERNEL_MAX_SAMPLES": str(job.count + 10),
    }
    with running(**environ) as (_, client):
        printed(client, "%load_ext inkernel")
        printed(client, f"%%agent\n{SAID}", stdin=job.work == "live")
    json.dump({}, sys.stdout)


if __name__ == "__main__":
    main()
