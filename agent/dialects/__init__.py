"""What is asked and answered, in the words of each kind of API. Knows no session and no I/O."""
