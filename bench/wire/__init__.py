"""What a turn costs on the wire: a measuring server, and the clients that are compared."""
