"""Where code runs other than in this process."""
