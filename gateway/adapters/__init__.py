"""Connects each HTTP framework to the pipeline."""
