"""Files and folders that appear whole or not at all."""

from pathlib import Path

import pytest

from persona_pipeline.core.atomic import atomic_file, atomic_folder


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_file(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    with atomic_file(path) as partial:
        partial.write_text("two")
        assert path.read_text() == "one"
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_after_an_error_everything_is_as_it_was(tmp_path: Path) -> None:
    file, folder = tmp_path / "file.txt", tmp_path / "folder"
    file.write_text("one")
    with pytest.raises(IsADirectoryError), atomic_file(file) as partial:
        _half(partial, tmp_path)
    with pytest.raises(IsADirectoryError), atomic_folder(folder) as partial:
        _half(partial / "part", tmp_path)
    assert file.read_text() == "one"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with atomic_folder(folder) as partial:
        (partial / "a").mkdir()
        (partial / "a" / "file").write_text("one")
    with pytest.raises(OSError, match="not empty"), atomic_folder(folder) as partial:
        (partial / "file").write_text("two")
    assert (folder / "a" / "file").read_text() == "one"
    assert list(tmp_path.iterdir()) == [folder]


def _half(path: Path, folder: Path) -> None:
    path.write_text("half")
    folder.write_text("fails")
