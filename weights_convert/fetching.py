"""The weights of a zoo network: found in a folder, or downloaded, checked, converted and cached."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs

from jaxcircuits import zoo
from jaxcircuits.errors import InputError, unknown
from jaxcircuits.zoo import ZOO
from jaxcircuits.zoo.entry import Remote, Source
from weights_convert.arrays import open_zip
from weights_convert.conversion import convert
from weights_convert.files import MOST_BYTES, digest

FOLDER_VARIABLE = "JAXCIRCUITS_WEIGHTS"
"""Environment variable with a folder of converted files, NAME.safetensors."""

SHIPPED = Path(zoo.__file__).parent / "weights"
"""Weights that come with the package."""

TRIES = 5
"""Connections for one file: each goes on where the last one was cut."""

CHUNK = 2**16
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as cut."""

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there, and of how many, where the server says so."""


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
        if place.is_file():
            return place
    entry, tried = ZOO[name], f"no weights of {name}: not at {' nor at '.join(map(str, places))}"
    if not entry.origin:
        raise InputError(f"{tried}; they come with jaxcircuits: install it again")
    advice = (
        f"run `weights-convert FILE --out {name}.safetensors`, and set {FOLDER_VARIABLE} to the folder of that file"
    )
    if entry.source is None:
        raise InputError(f"{tried}; get {entry.origin}, {advice}")
    try:
        return fetch(entry.source, places[-1])
    except (InputError, OSError) as error:
        raise InputError(
            f"{tried}, and the published ones could not be fetched ({error}); where they can be downloaded, {advice}"
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
    folder.mkdir(parents=True, exist_ok=True)
    _download_all(source.files, folder)
    for member, pin in source.members.items():
        _unpack(folder / source.files[0].name, member, pin)
    labels = folder / source.labels
    convert(folder / source.weights, out, labels=labels if labels.is_file() else None)
    shutil.rmtree(folder)
    return out


def _download_all(files: Sequence[Remote], folder: Path) -> None:
    from rich import progress
    from rich.console import Console

    columns = progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn()
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        for index, remote in enumerate(files, 1):
            bar.reset(task, total=None, description=f"{remote.name} ({index}/{len(files)})")
            try:
                download(remote, folder, lambda done, total: bar.update(task, completed=done, total=total))
            except InputError as error:
                if remote.needed:
                    raise
                bar.console.print(f"going on without {remote.name}: {error}", markup=False, soft_wrap=True)


def download(remote: Remote, folder: Path, progress: Progress) -> Path:
    """Downloads one file, going on after the bytes that a cut connection or an earlier call left in NAME.part.

    Args:
      remote: the file.
      folder: where it goes.
      progress: called after every piece.

    Returns:
      The file; its hash is the pinned one.

    Raises:
      InputError: where the server cannot be reached or refuses, or the file is another one: then it is deleted.
    """
    path, part = folder / remote.name, folder / f"{remote.name}.part"
    if path.is_file():
        return path
    for _ in range(TRIES):
        before, reason = _size(part), "the connection was cut; call again to go on"
        try:
            if _receive(remote, part, progress):
                break
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise InputError(f"{remote.url}: the server answers {error.code} {error.reason}") from error
            part.unlink()
            continue
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
        if _size(part) == before:
            raise InputError(f"{remote.url}: {reason}")
    else:
        raise InputError(f"{remote.url}: {reason}")
    _check_pin(part, remote.pin, remote.url)
    part.rename(path)
    return path


def _receive(remote: Remote, part: Path, progress: Progress) -> bool:
    """Appends what a connection gives to `part`; whether that was all."""
    have = _size(part)
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = have if resumed else 0
        total = None if response.length is None else done + response.length
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
                if done > MOST_BYTES:
                    raise InputError(f"{remote.url}: more than {MOST_BYTES:,} bytes; expected a weight file")
    return total is None or done == total


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


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
    _check_pin(archive.with_name(member), pin, f"{archive.name}: {member}")


def _check_pin(path: Path, pin: str, what: str) -> None:
    algorithm, expected = pin.split(":")
    found = digest(path, algorithm)
    if found != expected:
        path.unlink()
        raise InputError(f"{what}: its {algorithm.upper()} is {found}, expected {expected}; the download was deleted")
