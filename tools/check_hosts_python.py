"""What goes to managed hosts runs on Python 3.8: ``plugins/modules`` and ``plugins/module_utils``.

Three checks, each of which sees what the others miss. vermin knows the syntax and the standard library of every
version. ``check_source`` looks for what vermin cannot tell without types: methods, ``X | Y`` and ``list[int]`` outside
annotations. And where the machine has a real Python 3.8 (on PATH, or pyenv's), that one imports every file.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SENT = [ROOT / "plugins/modules", ROOT / "plugins/module_utils"]
VERSION = "3.8"

# Methods that are newer than 3.8, by names that no older type has.
NEW_METHODS = {
    "add_note", "bit_count", "hardlink_to", "is_relative_to", "randbytes", "removeprefix", "removesuffix", "with_stem",
}  # fmt: skip
GENERIC = {"dict", "frozenset", "list", "set", "tuple", "type"}
TYPES = GENERIC | {"None", "bool", "bytearray", "bytes", "complex", "float", "int", "object", "str"}

IMPORT_ALL = """
import importlib, sys, traceback
failed = 0
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception:
        failed = 1
        print(name + ": " + traceback.format_exc(limit=-1).strip())
sys.exit(failed)
"""


def check_with_vermin(paths: list[Path]) -> list[str]:
    """What vermin finds to be newer, one line each.

    Annotations are not evaluated: every file has ``from __future__ import annotations``.
    """
    vermin = [sys.executable, "-c", "import vermin; vermin.main()"]
    options = [f"--target={VERSION}-", "--violations", "--no-eval-annotations", "--no-tips", "--format", "parsable"]
    done = subprocess.run([*vermin, *options, *map(str, paths)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    # file:line:column:python 2:python 3:feature; a line without a feature sums up a file
    found = [line.rsplit(":", 5) for line in done.stdout.splitlines()]
    lines = [f"{file}:{line}: {what} (Python {new})" for file, line, _, _, new, what in found if what]
    return lines or [done.stdout + done.stderr]


def check_source(path: Path) -> list[str]:
    """What is newer in one file and no tool can tell without types, one line each."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    return [f"{path}:{line}: {what}" for line, what in _find_newer(tree, lazy)]


def _find_newer(node: ast.AST, lazy: bool) -> Iterator[tuple[int, str]]:
    """Line and fault. ``lazy``: annotations are not evaluated, so they may say what they like."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Attribute) and node.attr in NEW_METHODS:
        yield node.lineno, f"the method {node.attr}"
    elif (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and {_base(node.left), _base(node.right)} & TYPES
    ):
        yield node.lineno, f"a union of types at run time: {ast.unparse(node)}"
    elif isinstance(node, ast.Subscript) and _base(node) in GENERIC:
        yield node.lineno, f"a built-in type with parameters at run time: {ast.unparse(node)}"
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") and lazy:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _find_newer(child, lazy)


def _base(node: ast.expr) -> str:
    """``list`` of ``list[int]``, ``None`` of ``None``; "" of what is no name."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Constant) and node.value is None:
        return "None"
    return node.id if isinstance(node, ast.Name) else ""


def find_interpreters() -> list[str]:
    """Paths of the real Python 3.8 of this machine, one at most."""
    candidates = [Path(folder) / f"python{VERSION}" for folder in os.environ["PATH"].split(":")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += sorted(pyenv.glob(f"versions/{VERSION}.*/bin/python"), reverse=True)
    for path in candidates:
        if os.access(path, os.X_OK):
            command = [str(path), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.stdout.strip() == VERSION:  # a shim of pyenv answers only where the version is chosen
                return [str(path)]
    return []


def import_all(interpreter: str, names: list[str], search_path: list[Path]) -> list[str]:
    """Import modules by their names in one process. Returns what failed, one text each."""
    environment = {"PYTHONPATH": ":".join(map(str, search_path)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [interpreter, "-s", "-S", "-c", IMPORT_ALL, *names]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


def import_sent(interpreter: str, files: list[Path]) -> list[str]:
    """Import what goes to hosts, with the ansible-core of this environment and nothing else of it."""
    spec = importlib.util.find_spec("ansible")
    assert spec is not None and spec.origin is not None
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ansible").symlink_to(Path(spec.origin).parent)
        search_path = [Path(folder), ROOT / ".build/src"]
        return import_all(interpreter, [f"ansible_collections.collab.rtc.{name}" for name in names], search_path)


def main() -> int:
    files = sorted(path for folder in SENT for path in folder.rglob("*.py"))
    faults = check_with_vermin(SENT) + [fault for path in files for fault in check_source(path)]
    interpreters = find_interpreters()
    for interpreter in interpreters:
        faults += import_sent(interpreter, files)
    how = f"imported by {interpreters[0]}" if interpreters else f"not imported: no Python {VERSION} on this machine"
    print(*faults, f"{len(files)} files for Python {VERSION}, {how}: {len(faults)} faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
