"""What is told of two databases, and of the round trips to one."""

import threading

import pytest
from sqlalchemy import text

from protocol.runtime.store_engine import engine
from scripts.tools.benchmark.databases import compared, round_trips, traced
from tests.support.postgres import Postgres


def test_the_ratio_is_that_of_each_round_and_a_process_that_is_none_has_no_ratio() -> None:
    row = compared("accepted/s", [(100.0, 200.0), (400.0, 500.0), (90.0, 200.0)])
    assert (row["postgresql"], row["sqlite"], row["ratio"]) == (100.0, 200.0, pytest.approx(0.5))
    assert compared("database", [(2.0, 0.0), (3.0, 0.0)])["quartiles"] == "nan to nan"


def test_a_transaction_of_one_statement_takes_three_round_trips_and_only_those_of_the_thread_are_counted(
    postgres: Postgres,
) -> None:
    database = engine(postgres.database())

    def transaction() -> None:
        with database.begin() as connection:
            connection.execute(text("SELECT 1"))

    transaction()  # connects
    with traced("the one") as trace:
        transaction()
        thread = threading.Thread(target=transaction, name="the one")
        thread.start()
        thread.join()
    database.dispose()
    assert round_trips(trace) == 3
