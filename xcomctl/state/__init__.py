"""What the tool keeps in the store below `<root>/.xcomctl/`: journal, lock, owner, trash."""
