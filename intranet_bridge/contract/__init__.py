"""The contract of adapters as tests: the same for those that come with the bridge and for plug-ins.

An author brings a `Peer`, a marketing system of the adapter's own kind that does as it is told, and subclasses the
suite in a test of the plug-in::

    from intranet_bridge.contract import AdapterContract

    class TestMainframe(AdapterContract):
        @pytest.fixture
        def peer(self): ...

Nothing here needs pytest: the tests are methods that take a `peer` and raise AssertionError, or unittest's SkipTest.
"""

from intranet_bridge.contract.peer import ACCOUNT as ACCOUNT
from intranet_bridge.contract.peer import ACCOUNTS as ACCOUNTS
from intranet_bridge.contract.peer import COMMAND as COMMAND
from intranet_bridge.contract.peer import DETAIL as DETAIL
from intranet_bridge.contract.peer import OTHER as OTHER
from intranet_bridge.contract.peer import QUERY as QUERY
from intranet_bridge.contract.peer import REFUSED as REFUSED
from intranet_bridge.contract.peer import Behaviour as Behaviour
from intranet_bridge.contract.peer import Impossible as Impossible
from intranet_bridge.contract.peer import Peer as Peer
from intranet_bridge.contract.peer import owed as owed
from intranet_bridge.contract.peer import registered as registered
from intranet_bridge.contract.suite import AdapterContract as AdapterContract
