"""How results look: tables for people, JSON, NDJSON and CSV for programs."""
