"""The weights of a zoo network: found in a folder, or downloaded, checked, converted and cached."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from jaxcircuits import zoo
from jaxcircuits.errors import InputError, unknown
from jaxcircuits.files.writing import make_folder
from jaxcircuits.printing import plain, tell
from jaxcircuits.zoo import ZOO
from jaxcircuits.zoo.entry import Remote, Source
from weights_convert.arrays import open_zip
from weights_convert.conversion import convert
from weights_convert.downloading import alone, check_pin, download
from weights_convert.files import MOST_BYTES
from weights_convert.weights_file import open_weights

FOLDER_VARIABLE = "JAXCIRCUITS_WEIGHTS"
"""Environment variable with a folder of converted files, NAME.safetensors."""

SHIPPED = Path(zoo.__file__).parent / "weights"
"""Weights that come with the package."""


def find_or_fetch(name: str) -> Path:
    """The converted weights of a zoo network.

    Looks in the folder `$JAXCIRCUITS_WEIGHTS`, among what comes with the package, then in the user's cache folder; else
    downloads the published files, with progress on stderr, checks them against their pinned hashes, converts them and
    caches the result.

    Args:
      name: a name in `jaxcircuits.zoo.ZOO`.

    Returns:
      A file that `read_weights` reads.

    Raises:
      InputError: for an unknown name, and where the weights cannot be had: it says every place tried and what to do.
    """
    if name not in ZOO:
        raise unknown("network", name, ZOO)
    cache = Path(platformdirs.user_cache_dir("jaxcircuits"))
    folders = [Path(os.environ[FOLDER_VARIABLE])] if os.environ.get(FOLDER_VARIABLE) else []
    places = [folder / f"{name}.safetensors" for folder in [*folders, SHIPPED, cache]]
    for place in places:
        if place.is_file() and (place != places[-1] or not ZOO[name].source or _opens(place)):
            return place
    entry, tried = ZOO[name], f"no weights of {name}: not at {' nor at '.join(map(str, places))}"
    if not entry.origin:
        raise InputError(f"{tried}; they come with jaxcircuits: install it again")
    advice = (
        f"run `weights-convert FILE --out FOLDER/{name}.safetensors` with the weights' FILE, unpacked, and set "
        f"{FOLDER_VARIABLE} to FOLDER"
    )
    if entry.source is None:
        raise InputError(f"{tried}; get {entry.origin}, {advice}")
    try:
        return fetch(entry.source, places[-1])
    except (InputError, OSError) as error:
        raise InputError(
            f"{tried}, and the published ones could not be downloaded ({error}); download them elsewhere, {advice}"
        ) from error


def fetch(source: Source, out: Path) -> Path:
    """Downloads a network's published files, converts them and removes them again.

    Args:
      source: what to download.
      out: the converted file; what is downloaded lies in a folder beside it, where a later call finds what an
        interrupted one left.

    Returns:
      `out`.

    Raises:
      InputError: where a file cannot be had, or is not the pinned one.
    """
    folder = out.parent / "downloads" / out.stem
    with alone(folder) as lock:
        if out.is_file() and _opens(out):  # another process has just made it
            return out
        make_folder(folder)
        _download_all(source.files, folder)
        for member, pin in source.members.items():
            _unpack(folder / source.files[0].name, member, pin)
        labels = folder / source.labels
        convert(folder / source.weights, out, labels=labels if labels.is_file() else None)
        shutil.rmtree(folder)
        # Who waits for it, or comes later, finds the file above.
        lock.unlink(missing_ok=True)
    return out


def _opens(path: Path) -> bool:
    """Whether a file is a converted one; one that was cut, or is something else, is fetched again."""
    try:
        open_weights(path)
    except InputError as error:
        tell(f"{error}; it is fetched again")
        path.unlink(missing_ok=True)
        return False
    return True


def _download_all(files: Sequence[Remote], folder: Path) -> None:
    from rich import progress
    from rich.console import Console

    columns = progress.TextColumn("{task.description}", markup=False), progress.BarColumn(), progress.DownloadColumn()
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None, visible=False)

        def told(done: int, total: int | None) -> None:
            # Not before there is a byte: a server that is not reached has no progress.
            bar.update(task, completed=done, total=total, visible=True)

        for index, remote in enumerate(files, 1):
            bar.reset(task, total=None, visible=False, description=plain(f"{remote.name} ({index}/{len(files)})"))
            try:
                download(remote, folder, told)
            except InputError as error:
                if remote.needed:
                    raise
                bar.console.print(plain(f"going on without {remote.name}: {error}"), markup=False, soft_wrap=True)


def _unpack(archive: Path, member: str, pin: str) -> None:
    """Takes one pinned member out of a zip archive; names and paths in the archive are never used for writing."""
    with open_zip(archive) as contents:
        if member not in contents.namelist():
            raise InputError(f"{archive.name}: lacks {member}; it holds {contents.namelist()[:5]}")
        size = contents.getinfo(member).file_size
        if size > MOST_BYTES:
            raise InputError(f"{archive.name}: {member} has {size:,} bytes; expected at most {MOST_BYTES:,}")
        with contents.open(member) as packed, archive.with_name(member).open("wb") as file:
            shutil.copyfileobj(packed, file)
    check_pin(archive.with_name(member), pin, f"{archive.name}: {member}")
