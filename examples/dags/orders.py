# mypy: ignore-errors
"""Rows of a query, handled one by one, and the same rows as a DataFrame. For Airflow 2.11 and 3.x.

Needs the PostgreSQL provider, an Airflow connection `shop`, and `xcomctl-backend` as XCom backend: see the README of
`backend/`. Nothing in the tasks knows where their values are kept.
"""

import datetime

import pandas as pd
from airflow.providers.postgres.hooks.postgres import PostgresHook

try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task

COLUMNS = ("id", "customer", "amount", "ordered_at")
QUERY = f"SELECT {', '.join(COLUMNS)} FROM orders ORDER BY id"  # noqa: S608 - constants


def query_orders():
    """The orders, one dict each. Amounts stay Decimal and times keep their zone on their way to the next task."""
    rows = PostgresHook(postgres_conn_id="shop").get_records(QUERY)
    return [dict(zip(COLUMNS, row)) for row in rows]  # noqa: B905 - Python 3.8 has no strict


@dag(start_date=datetime.datetime(2026, 1, 1), schedule=None, catchup=False)
def orders_one_by_one():
    """Task 1 returns the rows of a query, task 2 is mapped over them."""

    @task
    def extract():
        # Airflow maps over lists and dicts, not over a DataFrame.
        return query_orders()

    @task
    def handle(order, greeting):
        return f"{greeting} {order['customer']}: {order['amount']} at {order['ordered_at'].isoformat()}"

    @task
    def report(lines):
        return "\n".join(lines)

    report(handle.partial(greeting="Dear").expand(order=extract()))


@dag(start_date=datetime.datetime(2026, 1, 1), schedule=None, catchup=False)
def orders_as_a_frame():
    """Task 1 returns a DataFrame, which is stored as Parquet; task 2 gets it as it was."""

    @task
    def extract():
        return pd.DataFrame(query_orders(), columns=list(COLUMNS)).set_index("id")

    @task
    def total(orders):
        return orders.groupby("customer")["amount"].sum().to_dict()

    total(extract())


orders_one_by_one()
orders_as_a_frame()
