"""What every page of ours has in common: one self-contained file that asks nobody for anything.

document.py   the whole file, and text made harmless for it
theme.py      the colours, in light and dark, and the common style sheet base.css
"""
