"""Exports: an organisation's data as one JSON document or as a zip of CSV files."""
