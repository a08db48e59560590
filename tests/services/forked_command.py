"""`xcomctl` for a shell that a test starts: has the fork server run it on the shell's own streams, and ends as it does.

The first argument is the descriptor of the server's socket, which the shell inherits. This imports next to nothing.
"""

import json
import os
import socket
import sys

descriptor, *arguments = sys.argv[1:]
request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
ours, theirs = socket.socketpair()
with socket.socket(fileno=int(descriptor)) as requests, theirs:
    socket.send_fds(requests, [json.dumps(request).encode()], [0, 1, 2, theirs.fileno()])
code = int(ours.recv(16))
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
