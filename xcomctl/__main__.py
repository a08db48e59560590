"""`python -m xcomctl` is `xcomctl`."""

from xcomctl.cli.app import main

if __name__ == "__main__":
    main()
