"""The official SDK checks each request to the Messages API. Without it, its tests are left out."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("anthropic") else ["test_messages*.py"]
