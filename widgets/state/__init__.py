"""What is shown of a turn, folded from its events. Pure; knows no markup."""
