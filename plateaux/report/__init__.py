"""Reports: one self-contained page of a sweep."""

from .writing import render as render, report as report
