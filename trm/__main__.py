"""`python -m trm`."""

from trm.cli import main

if __name__ == "__main__":
    main()
