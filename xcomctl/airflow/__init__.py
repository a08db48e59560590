"""Airflow's side: the metadata database that XCom rows are read from."""
