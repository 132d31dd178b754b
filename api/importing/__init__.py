"""Imports of public data sets and the generated sample, through Postgres like any other write."""
