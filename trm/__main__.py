"""`python -m trm`."""

from trm.cli.main import main

if __name__ == "__main__":
    main()
