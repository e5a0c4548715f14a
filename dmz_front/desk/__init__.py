"""Pages under `/desk/` for staff: codes of accounts, one or a sheet of them, the record, revocation, a sheet to print.

Server-rendered, without script. The desk keeps nothing and decides nothing: it asks the bridge as any application does,
in the name `desk`, and says who asked.
"""
