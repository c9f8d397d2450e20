"""What the Python tests share: a server process, a client that checks the contract, the contract itself."""
