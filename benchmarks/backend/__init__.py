"""Speed of the XCom backend."""
