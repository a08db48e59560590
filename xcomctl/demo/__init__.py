"""The demonstration: a real object store on this machine, filled and taken down again."""
