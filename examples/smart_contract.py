"""A contract of three agents: they agree on its state by consensus, then execute it."""

from fastmas import SmartContract

contract = SmartContract("ABC123", 3)
contract.start()
contract.sync()
contract.execute()
contract.stop()
