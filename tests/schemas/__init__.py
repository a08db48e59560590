"""Schemas of Airflow's metadata database, by generation and engine, and a way to fill them."""
