"""The ledger: what a stranger can check, with nothing but the standard library."""
