"""Making the window shorter, by cells. Knows no transport."""
