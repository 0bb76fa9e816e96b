"""The state that views show, folded from a turn's events. Pure functions that know no markup."""
