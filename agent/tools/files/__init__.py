"""The files of the person: read by place, indexed, searched."""
