"""The vocabulary of all rooms: items, events, actions, cells. Frozen values, no behaviour."""
