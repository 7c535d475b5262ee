# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bundle: the RTC server and all it needs for several Pythons and machines, as one file for use offline.

It is a tar archive of wheels, of ``requirements.txt`` with their hashes, by which pip can install from the wheels
alone, and of ``contents.cdx.json``, the list of contents. ``bundle.json`` comes first: which release this is, the
wheels of each target, and the digest of every file, of itself too. The same input gives the same bytes.

Nothing of a bundle is used that is not exactly as ``bundle.json`` says. That shows damage, and what is not ours; it is
no signature: who hands on a bundle also hands on its SHA-256, which the playbook prints.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import release
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.controller_files import explain_no_place
from ansible_collections.collab.rtc.plugins.plugin_utils._release import contents, wheels
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import BundleError, Target

MANIFEST = "bundle.json"
CONTENTS = "contents.cdx.json"
WHEELS = "wheels"
PROJECT = "collab.rtc/rtc-server"
FORMAT = 1
_MOST_MANIFEST = 1 << 20  # bytes
_MOST_FILE = 256 << 20
_AGAIN = "Copy it again from where it was built, or build it again with collab.rtc.bundle."


@dataclass(frozen=True)
class Bundle:
    """A bundle that was opened.

    :param digest: of the sources, as in the names of releases.
    :param targets: file names of the wheels of each target, by its tag.
    :param files: size and SHA-256 of each file, by its path in the archive.
    """

    path: str
    version: str
    digest: str
    targets: Mapping[str, tuple[str, ...]]
    files: Mapping[str, tuple[int, str]]

    def find_release(self, target: Target) -> str:
        """The name of the release for a target.

        :raises BundleError: the bundle has none.
        """
        if target.tag not in self.targets:
            found = ", ".join(str(release_source.read_tag(tag)) for tag in sorted(self.targets))
            raise BundleError(
                f"The bundle {self.path} has nothing for {target}; it is for {found}.",
                "Build one that has, too: ansible-playbook collab.rtc.bundle.",
            )
        return release.name_release(self.version, target.tag, self.digest)


def require_place(path: str) -> None:
    """Make sure that a bundle can be written there, before all its packages are fetched.

    :raises BundleError: something else than a file is there, or no directory that may be written to.
    """
    why = explain_no_place(path)
    if why:
        raise BundleError(f"{path} cannot be written: {why}.", "Name another file in rtc_bundle.")


def build(source: str, targets: Iterable[Target], cache: str, path: str) -> bool:
    """Write a bundle; returns whether the file changed.

    :param source: the directory ``files/rtc_server``.
    :param cache: where wheels are kept that were fetched.
    :raises BundleError: a wheel could not be had, or the file cannot be written.
    """
    require_place(path)
    found: dict[str, bytes] = {}
    chosen = {}
    name, content = wheels.make_server_wheel(source)
    for target in sorted(set(targets)):
        paths = wheels.fetch(source, target, cache)
        found.update(
            (os.path.basename(one), Path(one).read_bytes()) for one in paths if os.path.basename(one) not in found
        )
        chosen[target.tag] = sorted([*map(os.path.basename, paths), name])
    found[name] = content
    archive = _pack(source, chosen, found)
    if os.path.exists(path) and Path(path).read_bytes() == archive:
        return False
    try:
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(os.path.abspath(path)), delete=False) as file:
            try:
                file.write(archive)
                os.fchmod(file.fileno(), 0o644)
                os.rename(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as exc:
        raise BundleError(f"{path} cannot be written: {exc.strerror}.", "Name another file in rtc_bundle.") from None
    return True


def _pack(source: str, chosen: Mapping[str, list[str]], found: Mapping[str, bytes]) -> bytes:
    version = release_source.read_version(source)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    metadata = {name: wheels.read_metadata(content, name) for name, content in found.items()}
    listed = contents.render(version, digests, metadata)
    server = f"rtc-server=={version} \\\n    --hash=sha256:{digests[_name_server(found)]}\n"
    files = {
        release_source.REQUIREMENTS: release_source.read(os.path.join(source, release_source.REQUIREMENTS))
        + server.encode(),
        CONTENTS: (json.dumps(listed, indent=1) + "\n").encode(),
        **{f"{WHEELS}/{name}": content for name, content in found.items()},
    }
    manifest = {
        "project": PROJECT,
        "format": FORMAT,
        "version": version,
        "source": release_source.digest_source(source),
        "targets": chosen,
        "files": {path: [len(content), hashlib.sha256(content).hexdigest()] for path, content in files.items()},
    }
    buffer = io.BytesIO()
    # Names of wheels have more than the 100 characters of the other formats without extended headers.
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, MANIFEST, _render_manifest(manifest))
        for path in sorted(files):
            _add(tar, path, files[path])
    return buffer.getvalue()


def _name_server(names: Iterable[str]) -> str:
    return next(name for name in names if name.startswith(release_source.PACKAGE + "-"))


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path)  # of nobody and no time
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def _render_manifest(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps({**manifest, "sha256": _digest_manifest(manifest)}, indent=1, sort_keys=True) + "\n").encode()


def _digest_manifest(manifest: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def open_bundle(path: str) -> Bundle:
    """Which release a bundle holds, and for what: only ``bundle.json`` is read.

    :raises BundleError: it is no bundle of this project, or damaged.
    """
    with _open(path) as tar:
        return _read_manifest(path, tar)


def check(path: str) -> Bundle:
    """As :func:`open_bundle`, and every file is compared with what is said of it.

    :raises BundleError: it is no bundle of this project, damaged or incomplete.
    """
    with _open(path) as tar:
        bundle = _read_manifest(path, tar)
        for name, content in _read_files(bundle, tar):
            if name == release_source.REQUIREMENTS:
                _check_wheels(bundle, content)
    return bundle


def read_wheels(path: str, target: Target) -> tuple[Bundle, dict[str, bytes]]:
    """The wheels of a target by file name, after the whole bundle was checked.

    :raises BundleError: it is no bundle of this project, damaged, incomplete, or has nothing for the target.
    """
    found = {}
    with _open(path) as tar:
        bundle = _read_manifest(path, tar)
        bundle.find_release(target)
        wanted = {f"{WHEELS}/{name}" for name in bundle.targets[target.tag]}
        for name, content in _read_files(bundle, tar):
            if name == release_source.REQUIREMENTS:
                _check_wheels(bundle, content)
            if name in wanted:
                found[name.rpartition("/")[2]] = content
    return bundle, found


@contextmanager
def _open(path: str) -> Iterator[tarfile.TarFile]:
    try:
        with open(path, "rb") as file:
            _refuse_others(path, file)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                yield tar
    except OSError as exc:
        raise BundleError(f"{path} cannot be read: {exc.strerror or exc}.", "Correct rtc_bundle.") from None
    except (tarfile.TarError, EOFError) as exc:
        raise BundleError(f"The bundle {path} is damaged: {exc}.", _AGAIN) from None


def _refuse_others(path: str, file: IO[bytes]) -> None:
    """What does not begin as a bundle is a file of somebody else's, and not a damaged one of ours."""
    name = file.read(len(MANIFEST) + 1)
    file.seek(0)
    if not name:
        raise BundleError(f"The bundle {path} is empty.", _AGAIN)
    if name != MANIFEST.encode() + b"\0":
        raise BundleError(
            f"{path} is no bundle of the RTC server: it does not begin with {MANIFEST}.",
            "Name one in rtc_bundle that collab.rtc.bundle built, or leave rtc_bundle out.",
        )


def _read_manifest(path: str, tar: tarfile.TarFile) -> Bundle:
    member = tar.next()
    file = tar.extractfile(member) if member and member.size <= _MOST_MANIFEST else None
    try:
        known = json.loads(file.read() if file else b"")
        if not isinstance(known, dict):
            raise TypeError("no object")
        project, form = known.get("project"), known.get("format")
        if project != PROJECT:
            raise BundleError(
                f"{path} is a bundle of another project: {str(project)[:80]!r}, not {PROJECT}.",
                "Name one in rtc_bundle that collab.rtc.bundle built, or leave rtc_bundle out.",
            )
        if form != FORMAT:
            raise BundleError(
                f"{path} has format {str(form)[:20]}; this version of the collection reads {FORMAT}.",
                "Build it again with the version of the collection that uses it.",
            )
        if known["sha256"] != _digest_manifest(known):
            raise ValueError("its digest is another one")
        bundle = Bundle(
            path,
            str(known["version"]),
            str(known["source"]),
            {release_source.read_tag(tag).tag: tuple(map(str, names)) for tag, names in known["targets"].items()},
            {str(name): (int(size), str(digest)) for name, (size, digest) in known["files"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise BundleError(f"The bundle {path} is damaged: {MANIFEST} cannot be read ({exc}).", _AGAIN) from None
    # They become parts of paths.
    if not re.fullmatch(r"[0-9][\w.+-]*", bundle.version) or not re.fullmatch(r"[0-9a-f]{12}", bundle.digest):
        raise BundleError(f"The bundle {path} is damaged: its version is {bundle.version[:40]!r}.", _AGAIN)
    return bundle


def _read_files(bundle: Bundle, tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Each file after the manifest, compared with what is said of it; at the end, that none lacks."""
    left = dict(bundle.files)
    while True:
        member = tar.next()
        if member is None:
            break
        size, digest = left.pop(member.name, (-1, ""))
        file = tar.extractfile(member) if member.isreg() and member.size == size <= _MOST_FILE else None
        content = file.read() if file else b""
        if file is None or hashlib.sha256(content).hexdigest() != digest:
            raise BundleError(
                f"The bundle {bundle.path} is damaged: {member.name[:250]} is not what {MANIFEST} says.", _AGAIN
            )
        yield member.name, content
    if left:
        names = sorted(left)
        more = f" and {len(names) - 1} more" if names[1:] else ""
        raise BundleError(f"The bundle {bundle.path} is incomplete: {names[0]}{more} is missing.", _AGAIN)


def _check_wheels(bundle: Bundle, requirements: bytes) -> None:
    """That each target has a wheel for all that is required, with one of the hashes there."""
    allowed = release_source.parse_requirements(requirements.decode("utf-8", "replace"))
    for tag, names in bundle.targets.items():
        lacking = set(allowed)
        for name in names:
            package = "==".join(wheels.split_name(name))
            _size, digest = bundle.files.get(f"{WHEELS}/{name}", (0, ""))
            if digest not in allowed.get(package, ()):
                raise BundleError(
                    f"The bundle {bundle.path} is damaged: {name} is not what {release_source.REQUIREMENTS} pins.",
                    _AGAIN,
                )
            lacking.discard(package)
        if lacking:
            target = release_source.read_tag(tag)
            raise BundleError(
                f"The bundle {bundle.path} is incomplete: {', '.join(sorted(lacking))} is missing for {target}.", _AGAIN
            )
