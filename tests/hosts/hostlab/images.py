# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the hosts: layers, each tagged with the hash of what it is made from.

base (debootstrap) -> host (sshd, an administrator) -> application (Tomcat, a JRE, installations of the products), if it
is one -> redhat (the ground of the RHEL family), if it is to be of that.
A changed recipe has another tag, so it is built anew; one that is there is never built twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .console import say, step
from .errors import LabError
from .inventory import RELEASES, Host
from .machine import Mirrors, alone, run
from .podman import Podman

RECIPES = Path(__file__).resolve().parent.parent / "images"
LABEL = "rtc.lab.image"
REPOSITORY = "localhost/rtc-lab"
LOCK = "rtc-lab-images"
TREE_PREFIX = "rtc-lab-tree-"
# python3-apt: Ansible's apt module would else install it as its first act on every host.
BASE_PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,python3-apt,iproute2,ca-certificates,openssh-server,sudo,procps,iputils-ping"
)


@dataclass(frozen=True)
class Image:
    """An image that can be built. `below`: the one it stands on; `arguments`: of its Containerfile."""

    kind: str
    tag: str
    debian: int
    below: Image | None
    arguments: tuple[tuple[str, str], ...] = ()


def _digest(*inputs: str, folder: Path | None = None, files: tuple[Path, ...] = ()) -> str:
    """Twelve hexadecimal digits that stand for these strings and the content, names and modes of these files."""
    digest = hashlib.sha256(json.dumps(inputs).encode())
    inside = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder else []
    for path in [*files, *inside]:
        mode = "x" if path.stat().st_mode & 0o100 else "-"
        digest.update(f"\0{path.relative_to(RECIPES)}\0{mode}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def image_for(host: Host, mirrors: Mirrors) -> Image:
    """The image that this host starts from. Pure: reads the recipes, builds nothing."""
    suite, _tomcat, java = RELEASES[host.debian]
    base_hash = _digest(suite, BASE_PACKAGES, mirrors.main, mirrors.security, mirrors.apt_conf)
    base = Image("base", f"{REPOSITORY}-base:{host.debian}-{base_hash}", host.debian, None)
    image, what = _above(base, "host", str(host.debian)), str(host.debian)
    if host.image == "application":
        arguments = (("TOMCAT", str(host.tomcat)), ("JAVA", str(java)), ("PRODUCTS", " ".join(host.products)))
        what = f"{host.debian}-tomcat{host.tomcat}-{'-'.join(host.products)}"
        image = _above(image, "application", what, arguments)
    return _above(image, "redhat", what) if host.family == "redhat" else image


def _above(below: Image, kind: str, what: str, arguments: tuple[tuple[str, str], ...] = ()) -> Image:
    inputs = (below.tag, json.dumps(arguments)) if arguments else (below.tag,)
    hashed = _digest(*inputs, folder=RECIPES / kind, files=(RECIPES / f"Containerfile.{kind}",))
    return Image(kind, f"{REPOSITORY}-{kind}:{what}-{hashed}", below.debian, below, arguments)


def ensure(podman: Podman, wanted: list[Image], mirrors: Mirrors) -> None:
    """Build the images, and what they stand on, where they are not there yet. Raises LabError."""
    if {image.tag for image in wanted} <= set(_our_tags(podman)):
        return
    # Labs share their images: two that build the same one at once would only hinder each other.
    with alone(LOCK):
        there = set(_our_tags(podman))
        missing = {image.tag: image for image in wanted if image.tag not in there}
        remove_trees()

        def of_release(release: int) -> None:
            for image in missing.values():
                if image.debian == release:
                    _ensure(podman, image, mirrors, there)

        # Most of a debootstrap is dpkg at work on one core. What shares layers stays in order.
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(of_release, sorted({image.debian for image in missing.values()})))


def _ensure(podman: Podman, image: Image, mirrors: Mirrors, there: set[str]) -> None:
    if image.tag in there:
        return
    if image.below is None:
        _debootstrap(podman, image, mirrors)
    else:
        _ensure(podman, image.below, mirrors, there)
        _build(podman, image, image.below)
    there.add(image.tag)


def _build(podman: Podman, image: Image, below: Image) -> None:
    arguments = [f"--build-arg=BASE={below.tag}", *(f"--build-arg={key}={value}" for key, value in image.arguments)]
    with step(f"building {image.tag}"):
        podman(
            "build",
            "--network=host",
            "--layers",
            f"--label={LABEL}={image.kind}",
            f"--file={RECIPES / f'Containerfile.{image.kind}'}",
            *arguments,
            f"--tag={image.tag}",
            str(RECIPES),
            log=f"image-{image.tag.rpartition(':')[2]}.log",
        )


def _sources(mirrors: Mirrors, suite: str, log: Path) -> str:
    """sources.list of a host: the release itself, and its updates as far as the mirrors have them."""
    lines = [f"deb {mirrors.main} {suite} main"]
    for mirror, pocket in ((mirrors.main, f"{suite}-updates"), (mirrors.security, f"{suite}-security")):
        # apt's own downloader, because it knows apt's proxies and certificates.
        with tempfile.NamedTemporaryFile() as file:
            url = f"{mirror}/dists/{pocket}/InRelease"
            found = run(["/usr/lib/apt/apt-helper", "download-file", url, file.name], log=log, check=False)
        if found.returncode == 0:
            lines.append(f"deb {mirror} {pocket} main")
        else:
            say(f"the mirror has no {pocket}: the hosts do without it")
    return "".join(f"{line}\n" for line in lines)


def _debootstrap(podman: Podman, image: Image, mirrors: Mirrors) -> None:
    suite = RELEASES[image.debian][0]
    log = podman.logs / f"debootstrap-{suite}.log"
    tree = Path(tempfile.mkdtemp(prefix=TREE_PREFIX, dir="/var/tmp"))
    try:
        tree.chmod(0o755)
        env = {"http_proxy": mirrors.http_proxy} if mirrors.http_proxy else {}
        with step(f"debootstrap of Debian {image.debian} ({suite}) from {mirrors.main}"):
            command = ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", suite, str(tree), mirrors.main]
            run(command, log=log, env=env)
        sources = _sources(mirrors, suite, podman.logs / "mirror.log")
        (tree / "etc/apt/sources.list").write_text(sources, encoding="utf-8")
        if mirrors.apt_conf:
            (tree / "etc/apt/apt.conf.d/80lab").write_text(mirrors.apt_conf, encoding="utf-8")
        for leftover in (tree / "var/cache/apt/archives").glob("*.deb"):
            leftover.unlink()
        with step(f"importing {image.tag}"):
            tar = subprocess.Popen(["tar", "--create", "--directory", str(tree), "."], stdout=subprocess.PIPE)
            assert tar.stdout is not None
            with tar.stdout:
                change = f"LABEL {LABEL}={image.kind}"
                podman("import", "--change", change, "-", image.tag, stdin=tar.stdout.fileno())
            if tar.wait():
                podman("rmi", image.tag, check=False)
                raise LabError(f"tar of {tree} failed with {tar.returncode}; is the disk full?")
    finally:
        _remove_tree(tree)


def remove_trees() -> None:
    """Remove what interrupted debootstraps have left."""
    for tree in Path("/var/tmp").glob(f"{TREE_PREFIX}*"):
        _remove_tree(tree)


def _remove_tree(tree: Path) -> None:
    """Remove a tree of debootstrap: first what it mounted there, then the files."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    for mount in reversed([path for path in mounts if path.startswith(f"{tree}/")]):
        run(["umount", "--lazy", mount])
    shutil.rmtree(tree)


def remove_all(podman: Podman) -> tuple[int, int]:
    """Remove all images of labs. Returns how many are gone, and how many stay: in use by a container, or below such."""
    tags = _our_tags(podman)
    kept: list[str] = []
    # From the top down. What a kept image stands on would only lose its name, and be made again for the next host.
    for kind in ("redhat", "application", "host", "base"):
        for tag in tags:
            release = tag.rpartition(":")[2].partition("-")[0]
            if not tag.startswith(f"{REPOSITORY}-{kind}:"):
                continue
            needed = any(other.rpartition(":")[2].partition("-")[0] == release for other in kept)
            if needed or podman("rmi", tag, check=False).returncode:
                kept.append(tag)
    return len(tags) - len(kept), len(kept)


def remove_stale(podman: Podman, wanted: list[Image]) -> None:
    """Remove images that recipes of the past made: same kind and release as a wanted one, another hash, not in use."""
    keep: set[str] = set()
    for image in wanted:
        below: Image | None = image
        while below:
            keep.add(below.tag)
            below = below.below
    stems = {tag.rpartition("-")[0] for tag in keep}
    for tag in _our_tags(podman):
        if tag not in keep and tag.rpartition("-")[0] in stems and podman("rmi", tag, check=False).returncode == 0:
            say(f"removed {tag}: its recipe has changed")


def _our_tags(podman: Podman) -> list[str]:
    found = podman.json("images", "--filter", f"label={LABEL}")
    return [tag for image in found for tag in image.get("Names") or [] if tag.startswith(f"{REPOSITORY}-")]
