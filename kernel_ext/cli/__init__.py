"""The command `inkernel`: headless turns, notebooks run, the scripted server."""
