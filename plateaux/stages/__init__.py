"""Stages: what a trajectory went through."""

from .plateau import Plateaus as Plateaus, plateaus as plateaus
