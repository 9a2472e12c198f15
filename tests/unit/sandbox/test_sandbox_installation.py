"""What this process runs from."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

import codex_rpc
from codex_rpc.sandbox.installation import installation
from codex_rpc.sandbox.roots import is_inside

PACKAGE = str(Path(codex_rpc.__file__).parent)
LIBRARY = str(Path(os.__file__).parent)


def test_our_code_the_interpreter_and_the_libraries_are_known() -> None:
    found = installation()
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    for path in (PACKAGE, LIBRARY, sys.executable, os.path.realpath(sys.executable), *libraries):
        assert is_inside(path, found.core), path
    for path in (sys.prefix, sys.base_prefix, os.path.dirname(sys.executable)):
        assert path in found.around, path


def test_every_loaded_module_is_known() -> None:
    found = installation()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and os.path.isabs(file):
            assert is_inside(os.path.realpath(file), (*found.core, *found.around)), file


def test_folders_before_the_library_are_searched_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "link"), "", "relative", *sys.path])
    found = installation()
    assert str(tmp_path / "real") in found.searched_first
    assert {str(tmp_path / "link"), str(tmp_path / "real")} <= set(found.around)


def test_of_an_editable_install_only_what_is_loaded_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    package, module = types.ModuleType("a_package"), types.ModuleType("a_module")
    package.__path__ = [str(tmp_path / "a_package")]
    package.__file__ = str(tmp_path / "a_package" / "__init__.py")
    module.__file__ = str(tmp_path / "a_module.py")
    assert not is_inside(package.__path__[0], installation().core)
    monkeypatch.setitem(sys.modules, "a_package", package)
    monkeypatch.setitem(sys.modules, "a_module", module)
    found = installation()
    mine = {path for path in (*found.core, *found.around) if path.startswith(str(tmp_path))}
    names = ("a_package", "a_module.py", "__pycache__")
    assert mine == {str(tmp_path / name) for name in names}
    assert found.searched_first == installation().searched_first


def test_a_virtual_environment_behind_a_link_is_known_at_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / ".venv").symlink_to("real")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert {str(tmp_path / ".venv"), str(tmp_path / "real")} <= set(installation().around)
