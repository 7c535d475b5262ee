#!/usr/bin/env python3
"""What Ansible sends to a host for each module: its helpers and their lines.

Ansible follows every import of ``plugins/module_utils``, also one inside a function or under ``if TYPE_CHECKING:``
(``ansible.executor.module_common.recursive_finder``). A helper that a rare option needs is therefore sent with each
call.

    tools/shipped.py            # one line for each module
    tools/shipped.py rtc_probe  # the helpers of this module
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = "ansible_collections.collab.rtc."
HELPERS = COLLECTION + "plugins.module_utils"


def shipped(module: str, root: Path = ROOT) -> dict[str, int]:
    """The files of this collection that are sent with a module, itself among them.

    :param module: its name without the collection: ``rtc_probe``.
    :returns: path below ``root`` (``plugins/module_utils/_errors.py``) -> lines. Synthetic, empty ``__init__`` files
        and Ansible's own helpers are left out.
    :raises FileNotFoundError: there is no such module.
    """
    found: dict[str, int] = {}
    waiting = [f"plugins/modules/{module}.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            text = (root / path).read_text(encoding="utf-8")
            found[path] = len(text.splitlines())
            waiting += imported(text, root)
    return found


def imported(text: str, root: Path = ROOT) -> set[str]:
    """The helpers that a file imports anywhere, as paths below ``root``, and the ``__init__`` files above them."""
    return {path for name in _names(ast.parse(text)) for path in _files(name, root)}


def _names(tree: ast.AST) -> Iterator[str]:
    """Dotted names of imports; the last part of one may be a module or something in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"line {node.lineno}: a relative import, which this tool does not follow")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str, root: Path) -> Iterator[str]:
    if not name.startswith(HELPERS + "."):
        return
    directory = root / "plugins" / "module_utils"
    parts = name[len(HELPERS) + 1 :].split(".")
    base = directory.joinpath(*parts)
    if not (base.with_suffix(".py").is_file() or base.is_dir()):
        parts = parts[:-1]  # a function or class of that module
    for length in range(1, len(parts) + 1):
        path = directory.joinpath(*parts[:length])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                yield file.relative_to(root).as_posix()
                break


def main(arguments: list[str] | None = None) -> int:
    """Print what is sent with each module, or the files of the named ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("module", nargs="*", help="list the files of these modules")
    names = parser.parse_args(arguments).module
    for module in names or sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py")):
        files = shipped(module)
        own = f"plugins/modules/{module}.py"
        print(f"{module}: {len(files) - 1} helpers, {sum(files.values()) - files[own]} lines; the module {files[own]}")
        for path in sorted(files) if names else ():
            print(f"  {files[path]:5} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
