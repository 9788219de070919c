"""Other programs that judge what we read and write; a test that needs one that is not installed is skipped, and says what to install."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

_SCHEMAS = Path(os.environ.get("XLIFF_SCHEMAS", "/usr/share/php/Symfony/Component/Translation/Resources/schemas"))


def judge(module: str, package: str = "", extra: str = "judges") -> Any:
    """A module of a package that an extra installs; the package is called like its module where it is not said."""
    reason = f"needs {package or module.partition('.')[0]}: pip install -c constraints.txt 'antiphon[{extra}]'"
    return pytest.importorskip(module, reason=reason)


def xliff_schema(version: str) -> Any:
    """The schema of OASIS for XLIFF 1.2 (strict) or 2.0, out of Debian's package php-symfony-translation (75 kB)."""
    if not _SCHEMAS.is_dir():
        pytest.skip(
            "needs the schemas of XLIFF: apt-get install php-symfony-translation; or apt-get download it, unpack it with dpkg -x, and name"
            " its folder Resources/schemas in XLIFF_SCHEMAS"
        )
    etree = judge("lxml.etree", "lxml")
    name = "xliff-core-1.2-strict.xsd" if version == "1.2" else "xliff-core-2.0.xsd"
    local = (_SCHEMAS / "xml.xsd").as_uri()
    text = re.sub(r'schemaLocation="[^"]*xml\.xsd"', f'schemaLocation="{local}"', (_SCHEMAS / name).read_text(encoding="utf-8"))
    return etree.XMLSchema(etree.fromstring(text.encode()))
