"""An object that may be an image: the one value that an event of S3, or a wish to process it again, comes down to."""

from __future__ import annotations

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# S3's sequencers are hexadecimal, of any even length, and compare as if the shorter were padded with zeros on the right
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
SEQUENCER_DIGITS = 40
FIRST = "0" * SEQUENCER_DIGITS


@value
class ImageSource:
    """One state of an object: as an event or a wish tells it, completed by what the row and the object itself say.

    ``sequencer`` is padded (see :func:`padded`), so that it sorts. ``wanted`` is the pipeline version that a wish to
    process the image again asks for; "" where an event of S3 brought it. ``deletion`` is how something of this key was
    deleted, in the row's words; None where something landed.
    """

    bucket: str
    key: str
    etag: str  # without quotes; "" in a wish, which takes the one of the image's row, and in a deletion
    bytes: int
    sequencer: str
    event_time: str  # ISO 8601, UTC, milliseconds
    version_id: str = ""
    wanted: str = ""
    deletion: Mapping[str, str] | None = None


def padded(sequencer: str) -> str:
    """Return a sequencer, 1 to 40 hexadecimal digits, as 40 digits in upper case that sort as S3 orders events."""
    return sequencer.upper().ljust(SEQUENCER_DIGITS, "0")
