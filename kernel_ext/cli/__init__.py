"""The command `inkernel`: runs turns and notebooks headless, and serves a scripted model."""
