"""The bucket's side: the object store that payloads are read from."""
