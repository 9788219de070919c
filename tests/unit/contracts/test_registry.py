"""Plug-ins: found by name, by dotted path, and by entry point."""

import sys

import pytest

from antiphon.contracts import registry
from antiphon.errors import ConfigError

PLUGIN = """
from types import SimpleNamespace

plugin = SimpleNamespace(name="outside", value=17)
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A package outside Antiphon with a plug-in, one without, and one that cannot be imported."""
    package = tmp_path / "outside_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "good.py").write_text(PLUGIN)
    (package / "empty.py").write_text("other = 1\n")
    (package / "broken.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("outside_package")]:
        del sys.modules[name]


@pytest.mark.parametrize("kind", registry.KINDS)
def test_the_name_of_a_plug_in_is_the_name_of_its_file(kind):
    names = registry.names(kind)
    assert names == sorted(names)
    assert names
    for name in names:
        plugin = registry.find(kind, name)
        assert plugin.name == name
        assert plugin.summary.strip()


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ConfigError, match=r"There is no models plug-in `transfomer`; there are: .*lstm.* Did you mean `transformer`\?"):
        registry.find("models", "transfomer")
    for name in (
        "decoding",
        "interface",
        "choice",
        "no-name",
        "",
    ):  # modules without a plug-in are none, nor are names that no file can have
        with pytest.raises(ConfigError, match="There is no"):
            registry.find("tasks", name)


def test_a_dotted_path(outside):
    assert registry.admit("models", "outside_package.good", trusted=True).value == 17
    assert registry.find("models", "outside_package.good").value == 17, "it has been admitted"


def test_a_dotted_path_is_refused_where_code_is_not_trusted(outside):
    refused = pytest.raises(ConfigError, match=r"`outside_package\.good` names code outside Antiphon.*trust_code=True.*--trust-code")
    with refused:
        registry.find("models", "outside_package.good")
    with refused:
        registry.admit("models", "outside_package.good", trusted=False)
    assert "outside_package.good" not in sys.modules, "it must not even be imported"


def test_a_dotted_path_that_leads_nowhere(outside):
    with pytest.raises(ConfigError, match=r"The models plug-in `outside_package\.nothing` cannot be imported: No module named"):
        registry.admit("models", "outside_package.nothing", trusted=True)
    with pytest.raises(ConfigError, match="cannot be imported: No module named 'a_package_that_is_not_there'"):
        registry.admit("models", "outside_package.broken", trusted=True)
    with pytest.raises(ConfigError, match=r"`outside_package\.empty` must define `plugin` to be used as one of the models"):
        registry.admit("models", "outside_package.empty", trusted=True)


def test_an_installed_entry_point(outside):
    """What `pip install` writes: a dist-info folder with entry_points.txt."""
    info = outside / "outside_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-package\nVersion: 1.0\n")
    points = "[antiphon.models]\nelsewhere = outside_package.good:plugin\nlstm = outside_package.good:plugin\n"
    (info / "entry_points.txt").write_text(points)
    assert "elsewhere" in registry.names("models")
    assert "elsewhere" not in registry.names("tasks")
    assert registry.find("models", "elsewhere").value == 17
    assert registry.find("models", "lstm").name == "lstm", "nothing that is installed takes the place of a model of ours"
    assert registry.admit("models", "elsewhere", trusted=False).value == 17, "what is installed is trusted"
    with pytest.raises(ConfigError, match="Did you mean `elsewhere`"):
        registry.find("models", "elsewere")


def test_names_import_nothing():
    import subprocess

    program = "import sys\nfrom antiphon.contracts import registry\nfor kind in registry.KINDS: registry.names(kind)\n"
    program += "print([name for name in sys.modules if name == 'torch' or name.startswith('antiphon.models.')])"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.strip() == "[]"
