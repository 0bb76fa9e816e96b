"""The values of the Messages API: blocks, models, and messages as bytes."""
