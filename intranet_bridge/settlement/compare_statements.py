"""The process that compares statements (statements/worker.py), with the orders of ours."""

from intranet_bridge.settlement.order_shares import orders_to_match
from intranet_bridge.settlement.statements.worker import main

if __name__ == "__main__":
    main(orders_to_match)
