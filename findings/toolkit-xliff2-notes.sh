#!/usr/bin/env bash
# translate-toolkit 3.20.4, on an XLIFF 2.0 file that it writes itself, with a note and a unit with blanks to be kept.
#
# Expected: `notes` in front of the segments of a `unit`, and `xml:space` on `source` and `target`, where the schema of XLIFF 2.0 has them (OASIS,
# sections 4.2.2.5 and 4.2.2.6: a `segment` holds a `source` and a `target`, and has the attributes id, canResegment, state and subState).
# Seen: both are in and on the `segment`, so the schema refuses the file, and programs that read `notes` of the unit find none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install translate-toolkit==3.20.4 lxml==6.1.3
"$folder/env/bin/python" - <<'P'
import translate.__version__
from lxml import etree
from translate.storage import xliff2

file = xliff2.Xliff2File(sourcelanguage="en", targetlanguage="de")
unit = file.addsourceunit("Save all")
unit.target = "Alles sichern"
unit.addnote("menu")
root = etree.fromstring(bytes(file))
names = {"x": "urn:oasis:names:tc:xliff:document:2.0"}
inside, outside = root.findall(".//x:segment/x:notes", names), root.findall(".//x:unit/x:notes", names)
space = [segment.get("{http://www.w3.org/XML/1998/namespace}space") for segment in root.findall(".//x:segment", names)]
print(translate.__version__.sver, "notes in the segment:", len(inside), "in the unit:", len(outside), "xml:space of the segment:", space)
assert inside and not outside, "notes are in the unit now"
assert space == ["preserve"], "xml:space is where it belongs now"
P
