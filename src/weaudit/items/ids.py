"""The form of ids."""


def uuid4(digits: str) -> str:
    """Return a version 4 UUID made of 122 bits of the given hexadecimal digits, of which there are at least 32.

    Importing ``uuid`` would add milliseconds to a cold start. https://www.rfc-editor.org/rfc/rfc9562#section-5.4
    """
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
