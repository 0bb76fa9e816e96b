"""One adapter for each library. It reads values of the library without running the user's code."""
