"""The one error of the ledger."""


class LedgerError(ValueError):
    """What was read is not what its format says, or does not prove what it claims."""
