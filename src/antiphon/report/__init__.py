"""Reports: writes a run as one self-contained HTML file: `page.write_report(run)`.

page          the whole page, section by section
run_record    what lies on disk in a run, read as plain values
markup        HTML from nested elements, everything escaped
quantities    numbers as people read them
axes          scales and ticks
plots         line charts, histograms and intervals as SVG
heading       what was trained, and the scores in short
curves        how training went
data_view     what an audit found in the data
series_view   the same, of series
scores        every evaluation with intervals and settings
items         per-item scores, and which items are worth showing
difference    what differs between two texts
examples      the best, typical, worst, longest and random outputs
forecasts     of series: forecasts drawn, errors by step, the hardest series
fan_chart     a forecast with its history and intervals
calibration   whether intervals hold what they promise
attention     which source pieces each target piece looked at
lags          of series: which past steps each step ahead looked at
heat_map      a matrix as squares
making        the recipe, and what the report was written with
"""
