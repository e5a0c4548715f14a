"""The daemon in the DMZ. Read http_api → admission → queries | commands → ledger → reply_router."""
