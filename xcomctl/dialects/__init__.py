"""How XCom backends write their references and keys: one dialect per family of backends."""
