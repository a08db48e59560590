"""xcomctl joins the XCom rows of Airflow's metadata database to the S3 objects that hold their values."""

__version__ = "0.1.0"
