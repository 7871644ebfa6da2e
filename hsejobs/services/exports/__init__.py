"""Exports: an organisation's data as one JSON document, a zip of CSV files, or a workbook."""
