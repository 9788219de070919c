#!/usr/bin/env bash
# polars 2.1.0, read_csv(..., decimal_comma=True) of a column as Float64 in which a point parts thousands, as German and French
# spreadsheets write them.
#
# Expected: 1.234 is 1234, or an error, as for 1.234,5.
# Seen: 1.234 becomes 1.234, a thousandth of what was meant, and 1.234,5 is refused. Nothing says that a point was read as one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" -q install polars==2.1.0
"$folder/env/bin/python" - <<'P'
import polars

found = polars.read_csv(b"a;y\nx;1.234\nz;2,5\n", separator=";", decimal_comma=True, schema={"a": polars.String, "y": polars.Float64})
print(polars.__version__, found["y"].to_list())
assert found["y"].to_list() == [1.234, 2.5], "a point among decimal commas is read in another way now"
try:
    polars.read_csv(b"a;y\nx;1.234,5\n", separator=";", decimal_comma=True, schema={"a": polars.String, "y": polars.Float64})
except polars.exceptions.ComputeError:
    print("1.234,5 is refused")
else:
    raise AssertionError("1.234,5 is read now")
P
