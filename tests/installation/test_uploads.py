"""Which files go where: keys, content types, and what cannot be uploaded."""

import os
from pathlib import Path

import pytest

from weaudit.errors import InvalidInputError
from weaudit.installation import uploads
from weaudit.installation.uploads import Upload


def keys(paths: list[Path], prefix: str = "") -> list[str]:
    planned, failed = uploads.plan(paths, prefix)
    assert failed == []
    return [upload.key for upload in planned]


def test_files_have_their_names_and_a_folders_files_their_place_in_it(tmp_path: Path) -> None:
    (tmp_path / "photos" / "2024").mkdir(parents=True)
    for name in ("photos/b.jpg", "photos/2024/a b.jpg", "photos/.hidden", "note.txt"):
        (tmp_path / name).write_text(name)
    files = [tmp_path / "photos", tmp_path / "note.txt"]
    assert keys(files) == ["photos/.hidden", "photos/b.jpg", "photos/2024/a b.jpg", "note.txt"]
    assert keys([tmp_path / "note.txt"], "in/") == ["in/note.txt"]
    assert keys([tmp_path / "note.txt"], "in-") == ["in-note.txt"]
    assert keys([tmp_path / "note.txt", tmp_path / "note.txt"]) == ["note.txt"]
    assert uploads.plan([tmp_path / "note.txt"], "")[0] == [Upload(tmp_path / "note.txt", "note.txt", 8)]


def test_the_current_folder_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.chdir(tmp_path)
    assert keys([Path()]) == ["a.txt"]


def test_two_files_with_one_key_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text(folder)
    with pytest.raises(InvalidInputError, match=r"two files would have the key 'x\.txt'"):
        uploads.plan([tmp_path / "one" / "x.txt", tmp_path / "two" / "x.txt"], "")


def test_what_cannot_be_uploaded_is_told_with_the_reason_and_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    unnamed = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt"))
    unnamed.write_text("x")
    names = ("good.txt", "missing", "empty", "pipe", "dangling")
    planned, failed = uploads.plan([*(tmp_path / name for name in names), unnamed], "")
    assert [upload.key for upload in planned] == ["good.txt"]
    assert [(one.path.name, one.why) for one in failed[:4]] == [
        ("missing", "No such file or directory"),
        ("empty", "the folder is empty"),
        ("pipe", "it is not a regular file"),
        ("dangling", "No such file or directory"),
    ]
    assert "not UTF-8" in failed[4].why
    _, [long] = uploads.plan([tmp_path / "good.txt"], "é" * 510)
    assert "1028 bytes; S3 allows 1,024" in long.why


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.JPG", "image/jpeg"), ("a.webp", "image/webp"), ("a.avif", "image/avif"), ("a.txt", "text/plain"),
        ("a.unheard-of", "application/octet-stream"), ("Makefile", "application/octet-stream"),
    ],
)  # fmt: skip
def test_a_files_name_says_what_it_is(name: str, kind: str) -> None:
    assert uploads.content_type(Path(name)) == kind
