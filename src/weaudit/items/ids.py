"""Ids by their form."""


def uuid4(digits: str) -> str:
    """Return hexadecimal digits, 32 or more, as a UUID of version 4 that keeps 122 of their bits.

    Importing ``uuid`` would cost a cold start milliseconds. https://www.rfc-editor.org/rfc/rfc9562#section-5.4
    """
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
