"""Which networks make embeddings.

It is part of their key: a corrected encoder makes other embeddings out of the same pixels and weights, and those that
an older release left on disk must not be taken for its own.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path


@cache
def code_digest() -> str:
    """Digest of every network as the interpreter runs it, in hexadecimal: comments and docstrings do not count."""
    return folder_digest(Path(__file__).parent)


def folder_digest(folder: Path) -> str:
    """Digest of the modules in a folder and in all folders below it.

    Parameters
    ----------
    folder : Path
        A package.

    Returns
    -------
    str
        Hexadecimal; another one where a module was added, left, moved, or does something else.
    """
    digest = hashlib.blake2b(digest_size=20)
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                node.body = [part for part in node.body if not _is_text(part)]
        digest.update(f"{path.relative_to(folder).as_posix()}\0{ast.dump(tree)}\0".encode())
    return digest.hexdigest()


def _is_text(part: ast.stmt) -> bool:
    """Whether a statement is a string and nothing else, as docstrings are."""
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
