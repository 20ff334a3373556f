"""The tests. In them, whatever writes to a field of a value fails: see weaudit.values."""

from weaudit import values

values.write_once = True
